"""Map where a retrieved image resembles its query."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from xmir_cli import console
from xmir_cli.commands.saliency import Saliency
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.explain.cases import Cases
from xmir_cli.explain.comparisons import Comparisons
from xmir_cli.explain.explainer import Explainer
from xmir_cli.explain.keep import MemoFolder
from xmir_cli.explain.maps import Output
from xmir_cli.explain.requests import Request, group_requests, pair_requests, read_requests
from xmir_cli.gallery.engines import make_absolute, open_gallery
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.frames import expand_setting, need_one
from xmir_cli.render.overlay import Display
from xmir_cli.saliency import load_methods
from xmir_cli.store.atomic import settle
from xmir_cli.store.concepts import read_concept
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.model import ModelSpec

__all__ = ["Saliency", "run"]

RANKING = 256  # results of a query that are held together when one is contrasted with another


def run(asked: Saliency) -> Records:
    """One `xmir.saliency/1` record a request, side and method, in order.

    `asked.records` names a file of JSON lines, one record a line.
    """
    skips, done = Skips(), 0
    explainer = _explainer(asked)
    target = explainer.comparisons.target
    limit = asked.batch if asked.contrast is None else RANKING
    sides = 2 if asked.on == "both" else 1
    maps = sides * len(explainer.methods)  # of a request

    def total() -> int | None:
        return None if (count := given.count()) is None else count * maps

    bare = None if target is None else target.model
    with _given(asked, skips, bare) as given, console.progress("explaining", total) as bar:
        requests = given.requests
        asked.output.mkdir(parents=True, exist_ok=True)
        for group in group_requests(requests, limit):
            for request, record in explainer.explain(group):
                if isinstance(record, ItemError):
                    skips.add(request.name, record)
                    bar.advance(maps)
                    continue
                yield record
                bar.advance(sides if request.is_self else 1)
                done += 1
    _settle(asked.output, asked.cache)
    explainer.refusals.count(skips)
    return _finish(done, skips)


def _explainer(asked: Saliency) -> Explainer:
    """What makes the maps; it loads a network when the first pair of its records comes."""
    keep = None if asked.cache is None else MemoFolder(asked.cache, asked.cache_half)

    def load(spec: ModelSpec) -> Cases:
        embedder = load_embedder(spec, asked.device, asked.precision, asked.batch)
        return Cases(embedder, asked.jobs, keep=keep, draws=asked.overlay)

    rounds = asked.cache is not None and asked.cache_half
    display = Display(asked.colormap, asked.alpha)
    return Explainer(
        load,
        load_methods(asked.method, asked.all_settings),
        ("retrieved", "query") if asked.on == "both" else (asked.on,),
        Output(asked.output, display, asked.force, asked.overlay, rounds),
        _comparisons(asked),
    )


def _comparisons(asked: Saliency) -> Comparisons:
    negatives = expand_setting("negatives", asked.negatives or [])
    contrast = None if asked.contrast is None else need_one("contrast", asked.contrast)
    target = None if asked.target is None else read_concept(asked.target)
    return Comparisons(tuple(negatives), contrast, asked.center, target)


@dataclass(frozen=True)
class _Given:
    """What is to be explained, read as it comes, and how much it is, once that is known."""

    requests: Iterable[Request]
    count: Callable[[], int | None]


@contextmanager
def _given(asked: Saliency, skips: Skips, bare: ModelSpec | None) -> Iterator[_Given]:
    given = resolve_model(asked.choice) if asked.choice.is_named else None
    if asked.query is not None:
        assert given is not None  # else the description would not stand
        query, images = need_one("query", asked.query), expand_setting("images", asked.images or [])
        pairs = _at_index(pair_requests(query, images, given), asked.index)
        yield _Given(pairs, lambda: len(images))
        return
    with open_lines(asked.records) as stream:
        requests = read_requests(read_records(stream), given, skips, bare)
        yield _Given(_at_index(requests, asked.index), stream.count)


def _at_index(requests: Iterable[Request], index: str | None) -> Iterable[Request]:
    """The requests with this index in their records; raises DataError where there is none."""
    if index is None:
        return requests
    name = make_absolute(index)
    open_gallery(name)
    return (replace(each, record={**each.record, "index": name}) for each in requests)


def _settle(*folders: Path | None) -> None:
    for folder in folders:
        if folder is not None and folder.is_dir():
            settle(folder)


def _finish(done: int, skips: Skips) -> Ending:
    if not done and skips.total:
        raise DataError(f"none of {skips.total} records could be explained")
    if not done:
        raise DataError("no records on standard input")
    return skips.finish(done, "explained")
