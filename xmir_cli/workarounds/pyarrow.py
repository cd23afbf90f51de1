"""pyarrow without pandas."""

import sys
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


def leave_pandas_out() -> None:
    """Let pyarrow find no pandas. Code that imports pandas itself still gets it.

    Why: pyarrow imports an installed pandas, 0.3 s, when it first sees a value, to recognise values
    of pandas. xmir has none. pyarrow looks for pandas once, so a finder that hides it for one call
    is enough.
    Seen with: pyarrow 26.0.1, pandas 3.1.1.
    Fails without: tests/test_startup.py
    test_tables_need_no_pandas_but_whoever_wants_it_has_it
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> None:
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name)
