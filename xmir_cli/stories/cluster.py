"""Group saliency maps by kinds of reasons, or images by their embeddings."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Floats
from xmir_cli.atlas.points import AskedPoints, read_points
from xmir_cli.clusters.doubts import count_different, doubt_labels, doubt_number
from xmir_cli.clusters.grouping import GroupingRules, group_vectors
from xmir_cli.clusters.items import ClusterItem, item_of_map, items_of_rows, kinds_of
from xmir_cli.clusters.records import member_records, summary_records
from xmir_cli.commands.cluster import Cluster
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.gallery.engines import is_index
from xmir_cli.retrieval.collection import sample_rows
from xmir_cli.scoring.tasks import attempt
from xmir_cli.store.jsonl import open_lines, read_records

__all__ = ["Cluster", "run"]

_LIMIT = 5000  # at a time: every one is compared with every other
_PARQUET = b"PAR1"  # how such a file begins


def run(asked: Cluster) -> Records:
    """One `xmir.cluster/1` record a map or row, group by group; summed up, one a group."""
    if find_spec("sklearn") is None:
        raise DataError("grouping needs scikit-learn", "pip install 'xmir[cluster]'")
    skips = Skips()
    items, vectors = _read(asked, skips)
    kinds = kinds_of(items)
    for places in kinds.values():
        _refuse_size(asked, len(places))
        _refuse_alike(asked, vectors[places])
    rules = GroupingRules(
        groups=asked.clusters,
        neighbors=asked.neighbors,
        exemplars=asked.exemplars,
        seed=asked.seed,
    )
    doubts: list[str | None] = []
    with console.progress("grouping", len(kinds)) as bar:
        for kind, places in kinds.items():
            own, found = [items[place] for place in places], group_vectors(vectors[places], rules)
            doubts.append(doubt_number(kind, vectors[places], rules))
            if asked.summary and found.count > 1:
                doubts.append(doubt_labels(kind, own))
            bar.advance()
            if asked.summary:
                yield from summary_records(kind, own, found, rules)
            else:
                yield from member_records(own, found, rules)
    ending = skips.finish(len(items), "grouped")
    return replace(ending, notes=(*ending.notes, *filter(None, doubts)))


def _read(asked: Cluster, skips: Skips) -> tuple[Sequence[ClusterItem], Floats]:
    """What is put into groups, and the vectors [N, D] by which it is compared."""
    if not _has_embeddings(asked.source):
        return _read_maps(asked, skips)
    wanted = AskedPoints({}, (), asked.sample, asked.seed)
    points = read_points(asked.source, wanted, skips.add, Path(tempfile.gettempdir()))
    _refuse_size(asked, len(points.items))
    items = list(items_of_rows(points.items, points.model))
    return items, np.asarray(points.vectors, np.float64)


def _has_embeddings(source: str) -> bool:
    """Whether it is an index or a Parquet file; a pipe is not looked into."""
    if "://" in source or is_index(source):
        return True
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def _read_maps(asked: Cluster, skips: Skips) -> tuple[Sequence[ClusterItem], Floats]:
    items, vectors, number = [], [], 0
    with open_lines(asked.source) as stream, console.progress("reading", stream.count) as bar:
        for number, line in read_records(stream):
            found = line if isinstance(line, ItemError) else attempt(item_of_map, line)
            bar.advance()
            if isinstance(found, ItemError):
                skips.add(f"line {number}", found)
            else:
                items.append(found[0])
                vectors.append(found[1])
    if not items:
        raise DataError("no usable record" if number else "no records on standard input")
    if asked.sample is None:
        return items, np.stack(vectors)
    rows = sample_rows(len(items), asked.sample, asked.seed).tolist()
    return [items[row] for row in rows], np.stack([vectors[row] for row in rows])


def _refuse_size(asked: Cluster, count: int) -> None:
    if count > _LIMIT:
        raise DataError(
            f"{count} to group, and all are compared with all; the limit is {_LIMIT}",
            f"Draw some of them with `sample` {_LIMIT}.",
        )
    if asked.clusters is not None and asked.clusters > count:
        raise SettingError("clusters", f"there are {count} to group", "", str(asked.clusters))


def _refuse_alike(asked: Cluster, vectors: Floats) -> None:
    """Raise SettingError where what is the same would have to be in different groups."""
    if asked.clusters is None or asked.clusters == 1:
        return
    different = count_different(vectors)
    if asked.clusters > different:
        told = f"there are {len(vectors)} to group, and {different} different among them"
        raise SettingError("clusters", told, "", str(asked.clusters))
