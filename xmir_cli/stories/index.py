"""Build a searchable index of embeddings."""

from xmir_cli import console
from xmir_cli.commands.index import Index
from xmir_cli.console import Records, Skips
from xmir_cli.gallery.engines import build_index
from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.gallery.vectors import keep_usable
from xmir_cli.store.embeddings import Embeddings, read_embeddings
from xmir_cli.store.outputs import receipt

__all__ = ["Index", "run"]


def run(asked: Index) -> Records:
    """One `xmir.artifact/1` record, the receipt of the folder."""
    embeddings = _read(asked)
    skips = Skips()
    embeddings = keep_usable(embeddings, skips.add)
    settings = GraphSettings(asked.m, asked.ef_construction, asked.ef, asked.seed)
    kind = None if asked.kind == "auto" else asked.kind
    made = build_index(str(asked.output), embeddings, kind, settings)
    if made.recall_at_10 is not None:
        console.note(f"recall at 10 of the graph against exact search: {made.recall_at_10:.4f}")
    yield receipt("index", asked.output, (made.rows, made.dim), skips.total, made.sha256)
    return skips.finish(made.rows, "indexed")


def _read(asked: Index) -> Embeddings:
    """The embeddings, made by the model that is named if one is."""
    if not asked.choice.is_said:
        return read_embeddings(asked.source, allow_nan=True)
    from xmir_cli.embedding.vouching import read_vouched  # noqa: PLC0415 # torch

    return read_vouched(asked.source, asked.choice, allow_nan=True)
