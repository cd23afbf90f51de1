import pytest
import torch
from torch.nn import functional

from xmir_cli.program.kernel import Kernel


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_kernel_reaches_exactly_the_cells_that_see_a_box(size, stride, padding, dilation):
    kernel = Kernel((size, 1), (stride, 1), (padding, 0), (dilation, 1))
    weight = torch.ones(1, 1, size, 1)
    for start in range(11):
        for end in range(start + 1, 12):
            image = torch.zeros(1, 1, 11 + 1, 1)
            image[:, :, start:end] = 1
            seen = functional.conv2d(image, weight, None, (stride, 1), (padding, 0), (dilation, 1))[
                0, 0, :, 0
            ]
            cells = seen.nonzero()[:, 0].tolist()
            box = kernel.reach((start, 0, end, 1), (len(seen), 1))
            reached = [] if box is None else list(range(box[0], box[2]))
            assert set(cells) <= set(reached)
            if dilation == 1:  # a dilated kernel steps over cells between its first and last
                assert cells == reached
