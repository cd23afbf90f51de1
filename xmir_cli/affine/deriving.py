"""Derivatives of networks of one's own, which may have none."""

from collections.abc import Iterator
from contextlib import contextmanager

from xmir_cli.errors import ModelError, is_starved, reason_of


@contextmanager
def deriving() -> Iterator[None]:
    """Raise ModelError where the passes or the gradients inside fail, but for want of memory.

    As those of a network that changes in place what its derivative needs.
    """
    try:
        yield
    except RuntimeError as error:
        if is_starved(error):
            raise
        reason = reason_of(error)
        raise ModelError(
            f"this network cannot be differentiated ({reason})",
            "Use `method` occlusion or rise, which need no derivatives.",
        ) from None
