"""OpenBLAS, by which NumPy multiplies matrices."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads",
)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let each product take the thread that asks for it; nothing happens with another BLAS.

    Why: NumPy has no setting for it. Where threads ask for products side by side, those of OpenBLAS
    inside each product wait for one another, and if another process takes a processor, all wait for
    the slowest: 13 s in place of 3 s for 2,000 rankings of 20,000.
    Seen with: numpy 2.4.6, OpenBLAS 0.3.31.
    Fails without: tests/workarounds/test_openblas.py
    test_a_product_takes_one_thread_and_then_as_many_as_before
    """
    get, put = _find("get"), _find("set")
    if get is None or put is None:
        yield
        return
    before = get()
    put(1)
    try:
        yield
    finally:
        put(before)


@cache
def _find(what: str) -> Callable[..., int] | None:
    """The function of the loaded library that gets, or sets, its number of threads."""
    try:
        maps = Path("/proc/self/maps").read_text(errors="surrogateescape")
    except OSError:  # not Linux
        return None
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "openblas" in line}
    for path in sorted(paths):
        library = ctypes.CDLL(path)
        for name in _NAMES:
            found: Callable[..., int] | None = getattr(library, name.format(what), None)
            if found is not None:
                return found
    return None
