"""A concept in the place of the query: its direction is what a map explains an image by."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.explain.requests import Request
from xmir_cli.saliency.sample import Sample, make_target
from xmir_cli.store.concepts import StoredConcept, read_concept
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record


def refuse_other_model(concept: StoredConcept, spec: ModelSpec) -> None:
    """Raise DataError for a concept that is one of another model."""
    if not concept.model.same_embedding(spec):
        raise DataError(
            f"{concept.path}: a concept of another model than that of the images",
            "Fit it again, to examples embedded by this one.",
        )


def direction_in(concept: StoredConcept) -> Tensor:
    """The unit direction [D]."""
    return torch.from_numpy(concept.direction)


def sample_of(concept: StoredConcept) -> Sample:
    """The concept as methods take a target."""
    return make_target(direction_in(concept))


def told_of(concept: StoredConcept, explained: Sample) -> Record:
    """What a map's record says of its target."""
    along = float(direction_in(concept).double() @ explained.embedding.double())
    absolute = os.path.abspath(concept.path)  # noqa: PTH100 # Path.resolve would follow links
    return {"target": absolute, "target_sha256": concept.sha256, "target_similarity": along}


def _read(path: str, sha256: str) -> StoredConcept:
    """The concept that a record names; raises ItemError for another one."""
    try:
        found = read_concept(path)
    except DataError as error:
        raise ItemError(Cause.BAD_INPUT, f"{error}") from None
    if found.sha256 != sha256:
        raise ItemError(Cause.CHANGED, f"another concept than when the map was made ({path})")
    return found


def recorded_direction(path: str, sha256: str, spec: ModelSpec) -> Tensor:
    """The direction [D] that a map's record names.

    Raises ItemError for another one than recorded, and for one of another model than `spec`.
    """
    found = _read(path, sha256)
    try:
        refuse_other_model(found, spec)
    except DataError as error:
        raise ItemError(Cause.BAD_INPUT, f"{error}") from None
    return direction_in(found)


def tell_of_order(group: Sequence[Request]) -> bool:
    """Say what maps explain of hits that a concept has ordered; whether there are such hits."""
    moved = next((each for each in group if each.record.get("toward")), None)
    if moved is None:
        return False
    console.note(
        console.in_words(
            f"{moved.name}: its hits are in the order of `relevance`, towards a concept; the maps "
            "explain `similarity`, that of the query and each hit. `target` FILE.npy maps where an "
            "image shows the concept"
        )
    )
    return True
