"""From saliency records to the maps to score, those of one pair together."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError
from xmir_cli.records import ModelSpec, Record, text

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """An image that is explained, the one whose embedding stays fixed, and the network."""

    target: str  # path
    explained: str  # path
    spec: ModelSpec


@dataclass(frozen=True)
class Task:
    """One saliency record and what it says about the map to score."""

    name: str  # for skip lines: where the record stands
    record: Record
    pair: Pair
    saliency: str  # path of the map
    similarity: float | None  # as the record has it

    @property
    def method(self) -> str:
        """The name of the saliency method, empty when the record has none."""
        return str(self.record.get("method", ""))


def read_tasks(
    lines: Iterable[tuple[int, Record | ItemError]], skips: Skips
) -> Iterator[list[Task]]:
    """Consecutive records of one pair together, in order; lines that are none go to `skips`."""
    tasks = _tasks(lines, skips)
    for _, group in itertools.groupby(tasks, key=lambda task: task.pair):
        yield list(group)


def _tasks(lines: Iterable[tuple[int, Record | ItemError]], skips: Skips) -> Iterator[Task]:
    for number, line in lines:
        name = f"line {number}"
        found = line if isinstance(line, ItemError) else attempt(_task, name, line)
        if isinstance(found, ItemError):
            skips.add(name, found.reason)
        else:
            yield found


def attempt(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ItemError:
    """What `work` gives, or why its input cannot be used; errors of the model go through."""
    try:
        return work(*args, **kwargs)
    except ItemError as error:
        return error
    except DataError as error:
        return ItemError(f"bad-input: {error}")
    except OSError as error:
        return ItemError(f"unreadable: {error.filename}: {error.strerror}")


def _task(name: str, record: Record) -> Task:
    if "saliency" not in record:
        raise ItemError("no-map: the record names no saliency map; 'xmir saliency' makes them")
    query, retrieved = text(record, "query", name), text(record, "retrieved", name)
    spec = ModelSpec.from_json(record.get("model"), name)
    explains_query = record.get("explains") == "query"
    pair = Pair(retrieved, query, spec) if explains_query else Pair(query, retrieved, spec)
    return Task(name, record, pair, text(record, "saliency", name), _similarity(record))


def _similarity(record: Record) -> float | None:
    value = record.get("similarity")
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
