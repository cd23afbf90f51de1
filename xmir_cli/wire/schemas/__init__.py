"""The schemas of all records that go over a pipe, a file each; the folder is the table."""

import importlib
from functools import cache
from pathlib import Path

from xmir_cli.wire.schema import Schema, keys_of

_FOLDER = Path(__file__).parent


@cache
def all_schemas() -> dict[str, type[Schema]]:
    """Every schema by the name that records carry, such as `xmir.retrieval/1`."""
    found: dict[str, type[Schema]] = {}
    for path in sorted(_FOLDER.glob("[a-z]*.py")):
        module = importlib.import_module(f"{__name__}.{path.stem}")
        name = "".join(part.title() for part in path.stem.split("_"))
        view: type[Schema] = vars(module)[f"{name}Record"]
        found[view.NAME] = view
    return found


@cache
def path_keys() -> frozenset[str]:
    """The keys whose values name files."""
    schemas = all_schemas().values()
    return frozenset(
        name for schema in schemas for name, own in keys_of(schema).items() if own.kind.is_path
    )
