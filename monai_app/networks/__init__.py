"""Networks of this package: Sensor-3D with its convolutional LSTM."""

from monai_app.networks.convlstm import BidirectionalConvLSTM2d, ConvLSTM2d
from monai_app.networks.norms import batch_normalised
from monai_app.networks.sensor3d import Sensor3D

__all__ = ["BidirectionalConvLSTM2d", "ConvLSTM2d", "Sensor3D", "batch_normalised"]
