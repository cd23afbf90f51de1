"""A network of one seed and the folder of all that belongs to it; files of JSON lines."""

import csv
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
Record = dict[str, object]


@dataclass(frozen=True)
class Job:
    """One network of one seed."""

    network: str
    seed: int
    table: Path  # of the images: path, label, split; patient and mask where known
    folder: Path

    @property
    def architecture(self) -> str:
        """As `--arch` takes it."""
        return f"{HERE / 'networks.py'}:{self.network}"

    def index(self, name: str) -> str:
        """The index of the test images under the network that is called `name`."""
        return str(self.folder / f"{name}.xmir")

    def test_images(self) -> list[dict[str, str]]:
        """The rows of the test images, with absolute paths."""
        with self.table.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
        for row in rows:
            for name in ("path", "mask"):
                if row.get(name):
                    row[name] = str(self.table.parent / row[name])
        return rows


def read(file: Path) -> list[Record]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write(file: Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines; the file is there when all are."""
    part = file.with_suffix(".part")
    with part.open("w", buffering=1, encoding="utf-8") as out:  # a line as it comes
        out.writelines(f"{json.dumps(record)}\n" for record in records)
    part.rename(file)


def say(message: str) -> None:
    """A line on how far the run has come."""
    print(message, file=sys.stderr, flush=True)
