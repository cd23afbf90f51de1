import torch
from torch import nn

from xmir_cli.program.compile import compile_program


def layers_of(*modules):
    program = compile_program(nn.Sequential(*modules).eval(), 16)
    return [type(step.layer).__name__ for step in program.steps]


def test_norm_goes_into_the_convolution_before_it():
    assert layers_of(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()) == [
        "Convolution",
        "Pointwise",
    ]


def test_norm_and_functions_go_into_a_point_convolution_beside_them():
    modules = [nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.ReLU()]
    assert layers_of(*modules) == ["Pooling", "PointConvolution"]


def test_mean_pooling_goes_before_a_point_convolution():
    assert layers_of(nn.Conv2d(3, 4, 1), nn.AvgPool2d(2)) == ["Pooling", "PointConvolution"]


def test_relu_that_others_read_stays_as_it_is():
    class Shared(nn.Module):
        """A block with pre-activation: the ReLU goes to a convolution and to the sum."""

        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
            self.convolution = nn.Conv2d(3, 3, 1)
            for norm in self.norms:
                nn.init.uniform_(norm.weight, 0.5, 2)
                nn.init.normal_(norm.bias)

        def forward(self, images):
            active = torch.relu(self.norms[0](images))
            return self.norms[1](self.convolution(active)) + active

    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = Shared().eval()
    program = compile_program(features, 16)
    assert program is not None
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(program.run(images), features(images))
