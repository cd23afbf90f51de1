"""From the grid of a feature map to the pixels of the network's input."""

from torch import Tensor
from torch.nn import functional


def upsample(grid: Tensor, size: int) -> Tensor:
    """A grid [h, w] as a map [size, size], float32 on the CPU.

    Bilinear with half-pixel centres and replicated edges: constants stay, minimum and maximum are
    never exceeded, and an integer factor keeps the mean.
    """
    image = grid.detach().cpu().double()[None, None]  # float32 would break ties of equal cells
    large = functional.interpolate(
        image, size=(size, size), mode="bilinear", align_corners=False, antialias=False
    )
    return large[0, 0].float()
