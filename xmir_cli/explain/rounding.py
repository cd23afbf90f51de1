"""Centred shares in which rounding shows."""

from functools import cache

from xmir_cli import console
from xmir_cli.model.shares import INEXACT
from xmir_cli.saliency.sample import Explanation, Method

_MANY = 10 * INEXACT  # of a similarity: ten times what plain shares may miss


def warn_of_rounding(method: Method, found: Explanation) -> None:
    """Warn, once a run, where shares miss much more of a centred similarity than plain shares may.

    An image near the gallery's mean leaves little, which is divided by its length. Where clipping
    or a head without `rest` has a part in the `residual`, that is no rounding.
    """
    missed = found.details.get("residual", 0.0)
    unclipped = getattr(method, "clip", "none") == "none"
    if "rest" in found.details and unclipped and abs(float(missed)) > _MANY:
        _warn()


@cache
def _warn() -> None:
    console.warning(
        f"centred shares that miss more than {_MANY:g} of their similarity, as `residual` in "
        "their records tells: an image near the mean leaves little but rounding"
    )
