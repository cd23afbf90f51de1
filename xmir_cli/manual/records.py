"""The page of records, made of the table of schemas and of the causes."""

import re
from collections.abc import Iterator

from xmir_cli.causes import Cause
from xmir_cli.main import COMMANDS
from xmir_cli.manual.roff import paragraph, terms
from xmir_cli.wire.schema import Key, Schema, keys_of
from xmir_cli.wire.schemas import all_schemas


def schema_lines() -> Iterator[str]:
    """Every schema with the keys that it adds."""
    for name, schema in sorted(all_schemas().items(), key=_place):
        yield f".SS {name}"
        yield from paragraph(f"{(schema.__doc__ or '').strip()} Written by: {schema.WRITTEN_BY}.")
        before = _stage_before(schema)
        if before is not None:
            yield from paragraph(f"It has the keys of {before.NAME} and these:")
        known = {} if before is None else keys_of(before)
        own = {key: told for key, told in keys_of(schema).items() if key not in known}
        yield from terms((key, _meaning(told)) for key, told in own.items())
        patterns: dict[str, str] = vars(schema).get("OTHERS", {})
        yield from terms(
            (key, f"{meaning[:1].upper()}{meaning[1:]}.") for key, meaning in patterns.items()
        )


def cause_lines() -> Iterator[str]:
    """Every cause with its meaning."""
    return terms((cause, f"{cause.meaning[:1].upper()}{cause.meaning[1:]}.") for cause in Cause)


def _place(pair: tuple[str, type[Schema]]) -> int:
    """Where the writer of a schema stands among the commands."""
    return list(COMMANDS).index(re.split("[, ]", pair[1].WRITTEN_BY)[0])


def _stage_before(schema: type[Schema]) -> type[Schema] | None:
    """The schema whose records this one extends."""
    base = schema.__base__
    return base if base in all_schemas().values() else None


def _meaning(key: Key) -> str:
    kind = key.kind.expected
    text = f"{key.meaning[:1].upper()}{key.meaning[1:]} ({kind})."
    return f"{text} Only with: {key.when}." if key.when else text
