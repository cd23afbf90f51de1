"""Build a searchable index of embeddings."""

from pathlib import Path

from xmir_cli import console
from xmir_cli.commands.index import Index
from xmir_cli.console import Records, Skips
from xmir_cli.gallery.address import is_url
from xmir_cli.gallery.engines import build_index, refuse_build
from xmir_cli.gallery.usable import exclude_rows, usable_rows
from xmir_cli.pictures.exclusion import read_exclusion
from xmir_cli.store.embeddings import EmbeddingSource, open_embeddings
from xmir_cli.store.outputs import receipt

__all__ = ["Index", "run"]


def run(asked: Index) -> Records:
    """One `xmir.artifact/1` record, the receipt of the folder."""
    skips, build = Skips(), asked.build
    opened = _open(asked)
    refuse_build(asked.output, build, opened)
    rows = usable_rows(opened, skips.add)
    if asked.exclude is not None:
        rows = exclude_rows(rows, read_exclusion(asked.exclude))
    made = build_index(asked.output, rows, build)
    if made.recall_at_10 is not None:
        console.note(f"recall at 10 of the graph against exact search: {made.recall_at_10:.4f}")
    told = receipt("index", asked.output, (made.rows, made.dim), skips.total, made.sha256)
    yield told if asked.store == "float32" else {**told, "store": asked.store}
    return skips.finish(made.rows, "indexed")


def _open(asked: Index) -> EmbeddingSource:
    """The embeddings, made by the model that is named if one is."""
    folder = None if is_url(asked.output) else Path(asked.output).absolute().parent
    if not asked.choice.is_said:
        return open_embeddings(asked.source, folder=folder)
    from xmir_cli.embedding.vouching import open_vouched  # noqa: PLC0415 # torch

    return open_vouched(asked.source, asked.choice, folder)
