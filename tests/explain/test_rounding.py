"""What rounding takes of centred shares is told."""

import torch

from xmir_cli.explain import rounding
from xmir_cli.saliency.sample import Explanation


def test_shares_that_miss_more_than_rounding_may_are_warned_of_once(capsys):
    rounding._warn.cache_clear()
    for missed in (0.0, 9e-6, -9e-6):
        rounding.warn_of_rounding(Explanation(torch.zeros(2, 2), 0, {"residual": missed}))
    rounding.warn_of_rounding(Explanation(torch.zeros(2, 2), 0, {"share": 0.5}))
    assert capsys.readouterr().err == ""
    for missed in (2e-5, -3e-3):
        rounding.warn_of_rounding(Explanation(torch.zeros(2, 2), 0, {"residual": missed}))
    err = capsys.readouterr().err
    assert err.count("centred shares that miss more than 1e-05") == 1
