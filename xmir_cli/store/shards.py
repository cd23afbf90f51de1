"""Shards of a job: files in one folder, each of which says which of how many it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xmir_cli.errors import DataError

_SHOWN = 10  # missing shards that are named


@dataclass(frozen=True)
class Shard:
    """One of so many contiguous pieces of a job."""

    number: int  # from 1
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def share(self, units: int) -> range:
        """Which of the job's units are its own; their numbers differ by one at most."""
        return range((self.number - 1) * units // self.count, self.number * units // self.count)

    def file_in(self, folder: Path) -> Path:
        """Where it lies: in the order of names shards are in their own."""
        return folder / f"part-{self.number:06}.parquet"


def parse_shard(text: str) -> Shard:
    """The shard that `str` wrote; raises ValueError for anything else."""
    number, slash, count = text.partition("/")
    plain = all(each.isascii() and each.isdecimal() and len(each) < 7 for each in (number, count))
    if not (slash and plain and 1 <= int(number) <= int(count)):
        raise ValueError(text)
    return Shard(int(number), int(count))


class Shardable(Protocol):
    """A file that may be a shard."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def shard(self) -> Shard | None:
        """Which one it is."""

    @property
    def job(self) -> str:
        """Of which job: the same text for the same images in the same slots."""


def missing_shards(parts: Sequence[Shardable]) -> list[int]:
    """The numbers of the shards that are not there; none where the parts are no shards.

    Raises DataError for parts that are not of one job, or twice the same shard.
    """
    first = parts[0]
    there: dict[int, Path] = {}
    for part in parts:
        if _job(part) != _job(first):
            of = "no shard" if part.shard is None else f"shard {part.shard}"
            other = "no shard" if first.shard is None else f"shard {first.shard}"
            found = f"{of} of another job" if of != "no shard" != other else of
            raise DataError(
                f"{part.path}: {found}, beside {first.path.name}, {other}",
                "Keep the shards of one job in the folder, and no other part-*.parquet.",
            )
        if part.shard is not None:
            if part.shard.number in there:
                twice = there[part.shard.number].name
                raise DataError(
                    f"{part.path}: shard {part.shard}, which {twice} is, too",
                    f"Keep one of them, as {part.shard.file_in(Path()).name}.",
                )
            there[part.shard.number] = part.path
    count = 0 if first.shard is None else first.shard.count
    return [number for number in range(1, count + 1) if number not in there]


def refuse_missing(folder: Path, missing: Sequence[int], count: int) -> None:
    """Raise DataError naming shards that are not there."""
    if missing:
        raise DataError(
            f"{folder}: {name_missing(missing, count)}",
            "Make them with 'xmir embed', as the others were made.",
        )


def name_missing(missing: Sequence[int], count: int) -> str:
    """How many of the `count` shards are missing, and the first of them."""
    named = ", ".join(map(str, missing[:_SHOWN])) + (" ..." if missing[_SHOWN:] else "")
    verb = "is" if len(missing) == 1 else "are"
    return f"{len(missing)} of its {count} shards {verb} missing: {named}"


def _job(part: Shardable) -> tuple[str, int]:
    return part.job, 0 if part.shard is None else part.shard.count
