"""`xmir.artifact/1`: the receipt of a file or folder that was made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import PATH, TEXT, TEXTS, WHOLE, key, one_of


@dataclass(frozen=True, eq=False, kw_only=True)
class ArtifactRecord:
    """What a command wrote; the next one takes the receipt in its place."""

    NAME: ClassVar = "xmir.artifact/1"
    WRITTEN_BY: ClassVar = "embed, index, train"

    record: Record
    kind: str | None = key(TEXT, "embeddings, vectors, index or checkpoint")
    path: str | None = key(PATH, "where it lies")
    rows: int | None = key(WHOLE, "images in it, or trained on")
    dim: int | None = key(WHOLE, "numbers of an embedding")
    skipped: int | None = key(WHOLE, "images left out")
    store: str | None = key(
        one_of("float16"), "as which an index keeps vectors", when="--store float16"
    )
    sha256: str | None = key(TEXT, "of the file; of an index that of its manifest")
    kept_epoch: int | None = key(WHOLE, "the epoch whose weights are kept", when="train")
    steps: int | None = key(WHOLE, "training steps of the whole run", when="train")
    frozen: Sequence[str] | None = key(
        TEXTS,
        "parts of the network that training left as they were",
        when="train --freeze-layers, --freeze-batchnorm",
    )
