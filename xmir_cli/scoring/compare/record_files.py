"""Files of records that are read more than once, so that few of them need be held."""

from collections.abc import Iterator
from pathlib import Path

from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.tally import network_of
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.store.kinds import find_kind
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.artifact import ArtifactRecord

_SHORT = 12  # of a hash, for people
NumberedLine = tuple[int, Record | ItemError]


def hold_records(*sources: str) -> list[bool]:
    """Which of the sources are files of records, not vectors or the receipt of such.

    What a pipe or standard input holds one does not know before it is read: what the others hold.
    """
    told = [_holds_records(each) for each in sources]
    others = next((each for each in told if each is not None), True)
    return [others if each is None else each for each in told]


def _holds_records(source: str) -> bool | None:
    path = Path(source)
    if source == "-" or (path.exists() and not (path.is_file() or path.is_dir())):
        return None
    return find_kind(path) == "records" and RecordFile(source).find_schema() != ArtifactRecord.NAME


class RecordFile:
    """The numbered lines of a file; of a pipe, which can be read once, they are held."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._held: list[NumberedLine] | None = None
        if source == "-" or not Path(source).is_file():
            with open_lines(source) as stream:
                self._held = list(read_records(stream))

    def lines(self) -> Iterator[NumberedLine]:
        """All of them, in order."""
        if self._held is not None:
            yield from self._held
            return
        with open_lines(self.source) as stream:
            yield from read_records(stream)

    def find_schema(self) -> str:
        """The schema of the first record; raises DataError where there is none."""
        for _, line in self.lines():
            if not isinstance(line, ItemError):
                return str(line.get("schema"))
        raise DataError(f"{self.source}: no records to compare")


class OneNetwork:
    """Sees that all records of a file are of one network: numbers of two would be mixed."""

    def __init__(self, source: str) -> None:
        self._source, self._name = source, ""

    def check(self, record: Record) -> None:
        """Raise DataError for a record of another one than those before."""
        name = network_of(record)
        self._name = self._name or name
        if name not in {"", self._name}:
            raise DataError(
                f"{self._source}: records of two networks, {self._name[:_SHORT]} and "
                f"{name[:_SHORT]}",
                "Compare two files of one network each.",
            )
