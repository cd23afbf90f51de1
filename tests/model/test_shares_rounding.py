"""What parts of an embedding may miss of it."""

from types import SimpleNamespace

import pytest
import torch

from xmir_cli.errors import ModelError
from xmir_cli.model.shares import refuse_inexact


def test_rounding_is_of_the_parts_where_they_are_larger_than_their_sum():
    form = SimpleNamespace(raw=torch.tensor([0.3, 0.0]))
    refuse_inexact(form, 2e-6)
    refuse_inexact(form, 5.4e-6, size=4.0)
    with pytest.raises(ModelError, match=r"they miss 1.8e-05 of the embedding"):
        refuse_inexact(form, 5.4e-6)
    with pytest.raises(ModelError, match="no exact shares of this network"):
        refuse_inexact(form, 5e-5, size=4.0)
