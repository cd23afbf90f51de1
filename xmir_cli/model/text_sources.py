"""Which models have a text tower, and who loads it: the folders that a library wrote with one.

A tower is loaded when words ask, and never to embed images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from xmir_cli.errors import DataError, ModelError
from xmir_cli.model.folders import OPEN_CLIP_CONFIG, OWN_WEIGHTS, Folder, is_folder, open_folder
from xmir_cli.model.text_tower import TextTower
from xmir_cli.wire.model import ModelSpec

_WHICH = (
    "Folders of open_clip have one, and those of transformers' CLIP, SigLIP and SigLIP 2; embed "
    "and index the images with such a folder."
)


class TextFile(Protocol):
    """What the file of a kind of text towers has."""

    def has_text_tower(self, folder: Folder) -> bool:
        """Whether the folder's model has one; loads nothing."""

    def hash_text(self, folder: Folder) -> str:
        """SHA-256 over all that makes the text tower, which is not built for it; or ModelError."""

    def load_text_tower(self, folder: Folder) -> TextTower:
        """The text tower of a folder that has one, alone; or ModelError."""


@dataclass(frozen=True)
class TextSource:
    """Text towers of the folders of one library."""

    layout: str  # of the folder
    file: Callable[[], TextFile]


def _open_clip() -> TextFile:
    from xmir_cli.model import open_clip_texts  # noqa: PLC0415 # an extra

    return open_clip_texts


def _transformers() -> TextFile:
    from xmir_cli.model import transformers_texts  # noqa: PLC0415 # an extra

    return transformers_texts


TEXT_SOURCES = (TextSource("open_clip", _open_clip), TextSource("transformers", _transformers))


def load_text_tower(spec: ModelSpec) -> TextTower:
    """The text tower whose embeddings lie in the space of a model's images.

    Raises ModelError for a model that has none, or whose images lie elsewhere.
    """
    folder, file = _find(spec)
    from xmir_cli.model.size_limits import bounded  # noqa: PLC0415 # as those, it needs torch

    with bounded(folder.name):
        return file.load_text_tower(folder)


def hash_words(spec: ModelSpec) -> str:
    """SHA-256 over all that makes a model's text tower, which is not built for it.

    Empty for a model without one, and where something is missing that may still be put there.
    """
    try:
        folder, file = _find(spec)
        return file.hash_text(folder)
    except (ModelError, DataError):
        return ""


def refuse_wordless(spec: ModelSpec) -> None:
    """Raise ModelError as `load_text_tower`, where that is known before anything is loaded."""
    _find(spec)


def _find(spec: ModelSpec) -> tuple[Folder, TextFile]:
    name = spec.architecture
    if is_folder(name):
        folder = open_folder(name)
        for source in TEXT_SOURCES:
            if folder.layout == source.layout and source.file().has_text_tower(folder):
                _refuse_elsewhere(spec)
                return folder, source.file()
        if folder.layout == "timm" and folder.has(OPEN_CLIP_CONFIG):
            raise ModelError(
                f"{name}: its text tower is in open_clip_model.safetensors, which is not in it",
                "Put that file there; then embed and index the images again.",
            )
    raise ModelError(f"{name}: this model has no text tower, so no words can ask", _WHICH)


def _refuse_elsewhere(spec: ModelSpec) -> None:
    """Raise ModelError where images are not embedded as the text tower was trained with."""
    other = {
        "a linear head": spec.head is not None,
        f"the pooling {spec.pool}": spec.pool != "native",
        f"the weights {spec.weights}": spec.weights != OWN_WEIGHTS,
        "the whitening of its index": spec.whitening is not None,
    }
    for what, differs in other.items():
        if differs:
            raise ModelError(
                f"{spec.architecture}: with {what} its images are in another space than its words",
                "Embed and index them with the folder as it is.",
            )
