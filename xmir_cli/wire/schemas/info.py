"""`xmir.info/1`: what a file is."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    MODEL,
    NUMBER,
    NUMBERS,
    OBJECT,
    PATH,
    TEXT,
    TEXTS,
    WHOLE,
    Shows,
    key,
    one_of,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class InfoRecord:
    """What a file is, what is in it and what made it; which keys there are depends on `kind`."""

    NAME: ClassVar = "xmir.info/1"
    WRITTEN_BY: ClassVar = "info"

    record: Record
    path: str | None = key(PATH, "the file as it was named")
    kind: str | None = key(
        TEXT,
        "embeddings, index, checkpoint, network, training state, tensors, saliency, concept, "
        "array, manifest, records, ids, page, maps, differences or image",
    )
    bytes: int | None = key(WHOLE, "size of the file", when="not a folder")
    rows: int | None = key(
        WHOLE,
        "images, records, lines or maps",
        when="embeddings, index, manifest, records, ids, maps",
    )
    dim: int | None = key(WHOLE, "numbers of an embedding", when="embeddings, index, network")
    unusable: int | None = key(WHOLE, "lines that are no record", when="records")
    schemas: dict[str, int] | None = key(OBJECT, "rows by schema", when="records")
    queries: int | None = key(WHOLE, "how many different ones", when="records of queries")
    columns: list[str] | None = key(
        TEXTS, "of the items, or keys of the records", when="embeddings, index, manifest, records"
    )
    label: dict[str, int] | None = key(
        OBJECT, "rows by label; of several (A|B) each counts", when="embeddings, index, manifest"
    )
    several_labels: int | None = key(WHOLE, "rows with more than one label", when="there are any")
    split: dict[str, int] | None = key(OBJECT, "rows by split", when="embeddings, index, manifest")
    patients: int | None = key(
        WHOLE, "how many different ones", when="embeddings, index or manifest with patients"
    )
    labels: dict[str, object] | None = key(
        OBJECT,
        "rows by value of other columns whose texts recur; of records by label, split, match and "
        "method, under the key that has it",
        when="embeddings, index, manifest, records",
    )
    ranges: dict[str, object] | None = key(
        OBJECT,
        "of each column or key with numbers their minimum, maximum and mean; of dates the first "
        "and the last",
        when="embeddings, index, manifest, records",
    )
    missing_values: dict[str, int] | None = key(
        OBJECT, "rows without a value by column", when="embeddings, index, manifest"
    )
    model: ModelSpec | None = key(
        MODEL, "the network", when="embeddings, index, checkpoint, network"
    )
    library: str | None = key(TEXT, "whose layout the folder has", when="network")
    network: str | None = key(TEXT, "what the library calls it", when="network")
    pools: list[str] | None = key(TEXTS, "what --pool may be", when="network")
    device: str | None = key(TEXT, "where it was embedded", when="embeddings")
    precision: str | None = key(TEXT, "arithmetic of the network", when="embeddings")
    torch: str | None = key(TEXT, "version of torch", when="embeddings")
    patient_key: str | None = key(
        TEXT,
        "tells two patient keys apart without telling them",
        when="embeddings with a key",
        shows=Shows.NOTHING,
    )
    adapted: str | None = key(
        TEXT,
        "from whose stored vectors a head made these",
        when="embeddings by embed EMBEDDINGS --model HEAD",
    )
    features: list[int] | None = key(
        NUMBERS, "channels, rows and columns of a feature map", when="embeddings or index with maps"
    )
    shard: str | None = key(
        TEXT, "which of how many, 2/4", when="embeddings of one process of many"
    )
    shards: int | None = key(WHOLE, "how many the job has", when="a folder of such embeddings")
    missing: list[int] | None = key(
        NUMBERS, "shards that are not there", when="a folder of such embeddings"
    )
    search: str | None = key(one_of("exact", "hnsw"), "how it is searched", when="index")
    store: str | None = key(
        one_of("float32", "float16"), "as which its vectors are kept", when="index"
    )
    files: dict[str, object] | None = key(OBJECT, "bytes and SHA-256 of each file", when="index")
    settings: dict[str, object] | None = key(OBJECT, "how the graph was built", when="index")
    whitening: dict[str, object] | None = key(
        OBJECT,
        "`dim`, numbers of a vector before; `rows`, images it was fitted on; `variance`, the share "
        "that is kept; `shrinkage`",
        when="index --whiten",
    )
    threads: int | None = key(
        WHOLE, "that built the graph; one always builds the same", when="index with a graph"
    )
    recall_at_10: float | None = key(
        NUMBER, "of the graph against exact search; null without one", when="index"
    )
    version: str | None = key(TEXT, "of xmir that built it", when="index, page")
    title: str | None = key(TEXT, "what the page is called", when="page")
    compared: list[str] | None = key(TEXTS, "labels with a mean map", when="differences")
    differences: list[str] | None = key(TEXTS, "maps of one less another", when="differences")
    tensors: int | None = key(WHOLE, "how many", when="checkpoint, network, tensors")
    parameters: int | None = key(
        WHOLE, "numbers in all of them", when="checkpoint, network, tensors"
    )
    types: list[str] | None = key(TEXTS, "kinds of numbers", when="checkpoint, network, tensors")
    training: dict[str, object] | None = key(
        OBJECT, "what the run was asked and what each epoch gave", when="checkpoint"
    )
    shape: list[int] | None = key(NUMBERS, "of the array", when="array, saliency, differences")
    type: str | None = key(TEXT, "of its numbers", when="array, saliency")
    minimum: float | None = key(NUMBER, "of its numbers", when="array, saliency, image")
    maximum: float | None = key(NUMBER, "of its numbers", when="array, saliency, image")
    mean: float | None = key(NUMBER, "of its numbers", when="array, saliency, image")
    histogram: list[int] | None = key(
        NUMBERS,
        "how many of its numbers lie in each tenth of the way from minimum to maximum",
        when="array, saliency, image",
    )
    histogram_edges: list[float] | None = key(
        NUMBERS, "where those tenths begin, and the last one ends", when="array, saliency, image"
    )
    distinct: int | None = key(
        WHOLE, "different numbers, or ids, in it", when="array, saliency, image, ids"
    )
    tied: float | None = key(
        NUMBER, "share of its numbers that equal another one", when="array, saliency"
    )
    made_by: dict[str, object] | None = key(
        OBJECT, "what made the map or concept", when="saliency, concept"
    )
    checksum: str | None = key(
        one_of("all", "description", "no checksum"),
        "what was compared: every byte, what the file says of itself, or nothing",
        when="--verify",
    )
    format: str | None = key(TEXT, "of the file, such as PNG", when="image")
    pictures: int | None = key(WHOLE, "how many the file holds", when="image")
    width: int | None = key(WHOLE, "pixels", when="image")
    height: int | None = key(WHOLE, "pixels", when="image")
    mode: str | None = key(TEXT, "L, RGB or F", when="image")
    values: dict[str, int] | None = key(
        OBJECT, "pixels by grey or #colour, where there are 16 or fewer, as in a mask", when="image"
    )
    done: list[str] | None = key(TEXTS, "what had to be done to the picture", when="image")
