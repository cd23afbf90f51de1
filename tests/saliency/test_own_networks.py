"""What is shared out, refused and said of networks of one's own."""

import pytest
import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.network import Architecture, Network
from xmir_cli.saliency.forms import form_of
from xmir_cli.saliency.sample import make_samples
from xmir_cli.wire.model import ModelSpec, Preprocessing

WIDTH = 16


class Pool(OpaqueHead):
    """A function of cells [B, C, n] that makes embeddings [B, C]."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features: Tensor) -> Tensor:
        return self.function(features.flatten(2))


def build(function=None, features=None):
    """A patch layer before it, where no other `features` are given."""
    torch.manual_seed(0)
    recipe = Preprocessing(input_size=32, resize=32)
    features = features or nn.Sequential(nn.Conv2d(3, WIDTH, 8, 8, bias=False), nn.ReLU())
    head = None if function is None else Pool(function)
    network = Network(Architecture(features, WIDTH, recipe, head=head), None)
    return Embedder(network, ModelSpec("own", "random:0", None, recipe), torch.device("cpu"))


def form(function):
    embedder = build(function)
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    (sample,) = make_samples(embedder, [image])
    return form_of(embedder, sample), sample


def test_what_selects_without_a_rule_is_refused_where_weights_would_select_other_cells():
    found, sample = form(lambda cells: cells.kthvalue(9, dim=2).values)
    assert abs(found.pull(sample.embedding).missed) < 1e-5  # with all cells it is exact
    for ask in (lambda: found.push(torch.linspace(0, 2, 16)), found.written):
        with pytest.raises(ModelError, match="no exact shares of this network"):
            ask()


def test_weights_of_cells_of_what_selects_by_a_rule_add_up():
    found, sample = form(lambda cells: cells.topk(5, dim=2)[0].mean(dim=2))
    pulled = found.pull(sample.embedding)
    one_by_one = torch.stack([found.push(row) for row in torch.eye(16)])
    torch.testing.assert_close(one_by_one @ sample.embedding, pulled.places, atol=1e-5, rtol=0)
    assert found.told["held"] == "maxima"


def test_what_is_nearly_affine_is_refused():
    found, sample = form(lambda cells: (lambda v: v + 0.0015 * torch.sin(v))(cells.mean(dim=2)))
    with pytest.raises(ModelError, match="sin is not affine"):
        found.pull(sample.embedding)
