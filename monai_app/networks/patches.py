"""Networks of MONAI that work on squares of pixels, so that they see more of a slice at the same cost."""

from typing import Any

from torch import Tensor, nn

from monai_app.networks.norms import monai_network


def on_patches(network: str, patch: int, in_channels: int, out_channels: int, **settings: Any) -> nn.Module:
    """Build a network of MONAI that works on squares of ``patch`` pixels a side; 1 is the network as it is.

    Args:
        network: name of a class of ``monai.networks.nets``, for images of two dimensions.
        patch: side of the squares in pixels; the stride is as many times the network's.
        in_channels: of the image.
        out_channels: phases.
        settings: the class's other arguments.

    Raises:
        ConfigError: there is no such class.
    """
    if patch == 1:
        return monai_network(network)(in_channels=in_channels, out_channels=out_channels, **settings)
    return PatchNetwork(network, patch, in_channels, out_channels, **settings)


class PatchNetwork(nn.Module):
    """A network of MONAI between a convolution that makes squares of pixels one position and one that undoes it.

    The stem is that of ConvNeXt (Liu et al. 2022, doi 10.1109/CVPR52688.2022.01167): kernel and stride are the side of
    the squares. Each has as many channels in between as its pixels have values, so that details need not be lost, as
    when images are binned. Crops of ``patch`` times the side cost the same, and the receptive field is as many times
    wider.

    Args:
        network: see `on_patches`, like all others.
    """

    def __init__(self, network: str, patch: int, in_channels: int, out_channels: int, **settings: Any) -> None:
        super().__init__()
        values = patch**2
        self.stem = nn.Conv2d(in_channels, values * in_channels, patch, patch)
        channels = {"in_channels": values * in_channels, "out_channels": values * out_channels}
        self.network = monai_network(network)(**channels, **settings)
        self.head = nn.ConvTranspose2d(values * out_channels, out_channels, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) of images (B, C, H, W); H and W are multiples of the stride."""
        logits: Tensor = self.head(self.network(self.stem(images)))
        return logits
