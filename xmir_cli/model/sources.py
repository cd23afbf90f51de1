"""The sources of networks, by the names of the networks that they have.

A shell completes these names and a help text tells them, so nothing heavy is imported here. A new
source is a file with what `SourceFile` asks for, and a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from xmir_cli.errors import ModelError
from xmir_cli.guesses import near_hint
from xmir_cli.model.folders import cached_names, is_folder, is_layout
from xmir_cli.model.names import TORCHVISION_FAMILIES, torchvision_names

if TYPE_CHECKING:
    from torch import Tensor

    from xmir_cli.model.network import Architecture


class SourceFile(Protocol):
    """What a source's file has."""

    def build(self, name: str, input_size: int | None) -> "Architecture":
        """The network of that name for images of so many pixels; or ModelError."""

    def pretrained(self, name: str) -> "Mapping[str, Tensor]":
        """The weights `imagenet`, or a folder's own, by the library's names; or ModelError."""


@dataclass(frozen=True)
class Source:
    """Where networks come from: torchvision, timm, folders, the user's own code."""

    names: str  # how its names look, for people
    recognises: Callable[[str], bool]  # whether a name is one of them
    offered: Callable[[], list[str]]  # its names, or how they begin, for a shell to complete
    every: Callable[[], list[str]]  # its names, as far as it knows them; may import its library
    file: Callable[[], SourceFile]


# a source's file is imported when it is needed, for it imports torch
def _torchvision() -> SourceFile:
    from xmir_cli.model import torchvision_networks  # noqa: PLC0415

    return torchvision_networks


def _timm() -> SourceFile:
    from xmir_cli.model import timm_networks  # noqa: PLC0415

    return timm_networks


def _timm_names() -> list[str]:
    from xmir_cli.model.timm_networks import list_names  # noqa: PLC0415

    return list_names()


def _own() -> SourceFile:
    from xmir_cli.model import own_networks  # noqa: PLC0415

    return own_networks


def _transformers() -> SourceFile:
    from xmir_cli.model import transformers_networks  # noqa: PLC0415

    return transformers_networks


def _open_clip() -> SourceFile:
    from xmir_cli.model import open_clip_networks  # noqa: PLC0415

    return open_clip_networks


def _timm_folder() -> SourceFile:
    from xmir_cli.model import timm_folders  # noqa: PLC0415

    return timm_folders


_FOLDER = "a FOLDER of transformers, timm or open_clip, or hf:ORG/NAME on the hub"
SOURCES = (  # in the order asked: every name with a colon may be one's own
    Source(
        f"torchvision's {', '.join(f'{family}*' for family in TORCHVISION_FAMILIES)}",
        lambda name: (
            name.startswith(TORCHVISION_FAMILIES) and ":" not in name and not is_folder(name)
        ),
        torchvision_names,
        torchvision_names,
        _torchvision,
    ),
    Source(
        "timm:NAME", lambda name: name.startswith("timm:"), lambda: ["timm:"], _timm_names, _timm
    ),
    Source(
        _FOLDER,
        lambda name: is_layout(name, "transformers"),
        lambda: ["hf:", *cached_names()],
        cached_names,
        _transformers,
    ),
    Source(_FOLDER, lambda name: is_layout(name, "timm"), list, list, _timm_folder),
    Source(_FOLDER, lambda name: is_layout(name, "open_clip"), list, list, _open_clip),
    Source(
        "FILE.py:FUNCTION or package.module:FUNCTION for your own",
        lambda name: ":" in name,
        list,
        list,
        _own,
    ),
)


def source_of(name: str) -> SourceFile:
    """Who knows the name; raises ModelError for one that nobody knows."""
    for source in SOURCES:
        if source.recognises(name):
            return source.file()
    hint = near_architectures(name) or f"Known are {known_names()}."
    raise ModelError(f"{name}: not a known architecture", hint)


def near_architectures(name: str) -> str:
    """`Did you mean ...?` where a network of any source is called alike, else nothing."""
    known = [each for source in SOURCES for each in source.every()]
    # only the source was left out, or who made it
    same = [each for each in known if each == f"timm:{name}" or each.endswith(f"/{name}")]
    return f"Did you mean {' or '.join(same[:3])}?" if same else near_hint(name, known)


def known_names() -> str:
    """How the names of all sources look, for people."""
    return "; ".join(dict.fromkeys(source.names for source in SOURCES))


def offered_names() -> list[str]:
    """What a shell completes: names, and how names begin."""
    return [name for source in SOURCES for name in source.offered()]
