"""RISE's blur, the start of the insertion curve: its kernel is not quite a Gaussian."""

import torch
from torch import Tensor
from torch.nn import functional


def folded_gaussian(size: int, sigma: float) -> Tensor:
    """The factor v [size] of RISE's kernel v v^T; sums to 1, float64.

    RISE filters a unit impulse inside a size x size array with a Gaussian cut off at
    floor(4 sigma + 1/2) pixels whose edges are mirrored, so the tails fold back into the kernel:

        v[p] = sum of g_d over all d with mirror(size // 2 + d) = p

    At 11 pixels and sigma 5 this is close to a box; at 51 and sqrt(50) it differs from a truncated
    Gaussian by 0.05 %.

    Source: Petsiuk et al., RISE, BMVC 2018, its published code.
    """
    reach = int(4 * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    gaussian = torch.exp(-0.5 * (offsets.double() / sigma) ** 2)
    gaussian /= gaussian.sum()
    folded = torch.zeros(size, dtype=torch.float64)
    return folded.index_add(0, mirror(size // 2 + offsets, size), gaussian)


def mirror(positions: Tensor, size: int) -> Tensor:
    """Positions folded into 0..size-1 by mirrors beyond the first and the last pixel."""
    folded = positions.remainder(2 * size)
    return torch.where(folded < size, folded, 2 * size - 1 - folded)


def blur(image: Tensor, kernel: Tensor, reflect: bool = False) -> Tensor:
    """The image [3, H, W] filtered along rows and columns with the odd kernel factor [size].

    Beyond the border lie zeros of the model space, its mean grey, as in RISE and x-mir; with
    `reflect` the image is mirrored there. Every channel by itself, in the image's type.
    """
    pad = len(kernel) // 2
    padded = _mirrored(image, pad) if reflect else functional.pad(image, (pad, pad, pad, pad))
    factor = kernel.to(image)
    rows = functional.conv2d(padded[:, None], factor.reshape(1, 1, 1, -1))
    return functional.conv2d(rows, factor.reshape(1, 1, -1, 1))[:, 0]


def _mirrored(image: Tensor, pad: int) -> Tensor:
    _, height, width = image.shape
    rows = mirror(torch.arange(-pad, height + pad), height)
    columns = mirror(torch.arange(-pad, width + pad), width)
    return image[:, rows][:, :, columns]
