"""What torch knows of a tensor and does not document."""

from collections.abc import Iterable

from torch import Tensor


def count_changes(tensors: Iterable[Tensor]) -> int:
    """How often the tensors have been changed in place; it grows with every change.

    Why: a program holds folded copies of a network's weights. Training or a randomization makes
    them outdated, and to compare all weights before each use would take long. autograd counts the
    changes of a tensor in its `_version`.
    Seen with: torch 2.14.1.
    Fails without: tests/model/test_incremental.py
    test_program_follows_weights_that_change_and_leaves_them_as_they_are
    """
    return sum(tensor._version for tensor in tensors)
