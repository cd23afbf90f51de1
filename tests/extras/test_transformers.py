"""Folders of transformers: the embeddings are those of the library's own forward."""

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras import tiny

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


@pytest.mark.parametrize("name", tiny.LAYOUTS)
def test_embeddings_are_the_librarys_own(name, tmp_path):
    library = tiny.make(name)
    library.save_pretrained(tmp_path)
    ours = tiny.load(tmp_path)
    size = ours.spec.preprocessing.input_size
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        expected = tiny.embed(name, library, images)
        found = ours.network(images)
    assert found.shape == expected.shape
    assert ours.network.dim == expected.shape[1]
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-5), (found - expected).abs().max()
