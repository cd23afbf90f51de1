"""What rounding takes of centred shares is told."""

import torch

from xmir_cli.explain import rounding
from xmir_cli.saliency.methods.activation import Method
from xmir_cli.saliency.sample import Explanation


def tell(missed, method=None, **details):
    found = Explanation(torch.zeros(2, 2), 0, {"residual": missed, "rest": 0.1, **details})
    rounding.warn_of_rounding(method or Method(), found)


def test_shares_that_miss_more_than_rounding_may_are_warned_of_once(capsys):
    rounding._warn.cache_clear()
    for missed in (0.0, 9e-5, -9e-5):
        tell(missed)
    tell(0.5, Method(clip="cell"))
    bare = Explanation(torch.zeros(2, 2), 0, {"residual": 0.5})  # what a bias in a head holds
    rounding.warn_of_rounding(Method(), bare)
    assert capsys.readouterr().err == ""
    for missed in (2e-4, -3e-3):
        tell(missed)
    err = capsys.readouterr().err
    assert err.count("centred shares that miss more than 0.0001") == 1
