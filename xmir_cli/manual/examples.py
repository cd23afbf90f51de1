"""The examples of every page, from `examples.md`: a plain sentence, then the shell lines."""

import re
from functools import cache
from pathlib import Path

CommandExample = tuple[str, str]

_TEXT = Path(__file__).with_name("examples.md")
_EXAMPLE = re.compile(r"^(\S[^\n]*)\n\n```sh\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


@cache
def examples() -> dict[str, list[CommandExample]]:
    """The sentences and shell lines of each command, such as `xmir query`, in their order."""
    parts = _TEXT.read_text(encoding="utf-8").split("\n## ")[1:]
    named = (part.partition("\n") for part in parts)
    return {name: _EXAMPLE.findall(text) for name, _, text in named}
