"""From saliency records to the maps to score, those of one pair together."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pictures.identity import file_of
from xmir_cli.wire.checks import need_map
from xmir_cli.wire.model import ModelSpec, need_model
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view, until_stage
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord
from xmir_cli.wire.words import Words

P = ParamSpec("P")
T = TypeVar("T")
_Lose = Callable[[str, ItemError], None]  # the name of a line, and why it is none


@dataclass(frozen=True)
class TargetPair:
    """An image that is explained, the one whose embedding stays fixed, and the network."""

    target: str  # path; empty where words ask alone
    explained: str  # path
    spec: ModelSpec
    center: tuple[str, str] | None = (
        None  # of a centred map: the index whose mean is taken off, and the SHA-256 of that
    )
    words: Words | None = None  # that ask, alone or together with the target
    concept: tuple[str, str] | None = None  # that the map is of: its file and the SHA-256 of that


@dataclass(frozen=True)
class Task:
    """One saliency record and what it says about the map to score."""

    name: str  # for skip lines: where the record stands
    view: SaliencyRecord
    pair: TargetPair
    other: str = ""  # the path of a map of another image by the same method, where it is wanted

    @property
    def record(self) -> Record:
        """The record as it came, without the numbers of an earlier scoring."""
        return until_stage(self.view.record, SaliencyRecord, CausalRecord)

    @property
    def saliency(self) -> str:
        """The path of the map."""
        assert self.view.saliency is not None
        return self.view.saliency

    @property
    def files(self) -> list[str]:
        """What is read of the record."""
        images = [path for path in (self.pair.target, self.pair.explained) if path]
        return [*map(file_of, images), self.saliency]

    @property
    def method(self) -> str:
        """The name of the saliency method, empty when the record has none."""
        return self.view.method


def read_tasks(
    lines: Iterable[tuple[int, Record | ItemError]], lose: _Lose
) -> Iterator[list[Task]]:
    """Consecutive records of one pair together, in order; of lines that are none `lose` is told."""
    tasks = _tasks(lines, lose)
    for _, group in itertools.groupby(tasks, key=lambda task: task.pair):
        yield list(group)


def _tasks(lines: Iterable[tuple[int, Record | ItemError]], lose: _Lose) -> Iterator[Task]:
    for number, line in lines:
        name = f"line {number}"
        found = line if isinstance(line, ItemError) else attempt(_task, name, line)
        if isinstance(found, ItemError):
            lose(name, found)
        else:
            yield found


def attempt(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ItemError:
    """What `work` gives, or why its input cannot be used; errors of the model go through."""
    try:
        return work(*args, **kwargs)
    except ItemError as error:
        return error.bare
    except DataError as error:
        return ItemError(Cause.BAD_INPUT, f"{error}")
    except OSError as error:
        return ItemError(Cause.UNREADABLE, f"{error.filename}: {error.strerror}")


def _task(name: str, record: Record) -> Task:
    need_map(record)
    view = read_view(SaliencyRecord, record)
    spec = need_model(view.model)
    words = view.words
    if words is not None:
        pair = _of_words(words, view, spec)
    else:
        images = (view.query, view.retrieved)
        target, explained = images[::-1] if view.explains == "query" else images
        pair = TargetPair(target, explained, spec, _center(view))
    return Task(name, view, replace(pair, concept=_concept(view)))


def _concept(view: SaliencyRecord) -> tuple[str, str] | None:
    if view.target is None:
        return None
    if view.target_sha256 is None:
        raise ItemError(Cause.BAD_RECORD, "target_sha256: expected that of the target")
    return view.target, view.target_sha256


def _center(view: SaliencyRecord) -> tuple[str, str] | None:
    sha256 = (view.settings or {}).get("center")
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or view.index is None:
        raise ItemError(Cause.BAD_RECORD, "index: expected the index of a centred map")
    return view.index, sha256


def _of_words(words: Words, view: SaliencyRecord, spec: ModelSpec) -> TargetPair:
    if view.explains == "query":
        raise ItemError(Cause.BAD_RECORD, "explains: words ask, and they have no map")
    return TargetPair(
        view.query if words.weight is not None else "", view.retrieved, spec, _center(view), words
    )
