"""Networks of this package: Sensor-3D with its convolutional LSTM, and MONAI's on squares of pixels."""

from monai_app.networks.convlstm import BidirectionalConvLSTM2d, ConvLSTM2d
from monai_app.networks.norms import batch_normalised
from monai_app.networks.patches import on_patches
from monai_app.networks.sensor3d import Sensor3D

__all__ = ["BidirectionalConvLSTM2d", "ConvLSTM2d", "Sensor3D", "batch_normalised", "on_patches"]
