"""COVIDx as published to one table: path,id,label,patient,split on standard output.

python labels.py DATA
"""

import csv
import sys
from pathlib import Path

CLASSES = {"normal", "pneumonia", "COVID-19"}
LISTS = ("{split}_split*.txt", "{split}_COVIDx*.txt")  # as it was called over the years


def main() -> None:
    """Print the table."""
    data = Path(sys.argv[1]).absolute()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["path", "id", "label", "patient", "split"])
    for split in ("train", "test"):
        for patient, name, label in rows(only_list(data, split)):
            table.writerow([data / split / name, f"{split}/{name}", label, patient, split])


def only_list(data: Path, split: str) -> Path:
    """The list of a split; more than one, or none, is a question for the user."""
    patterns = [pattern.format(split=split) for pattern in LISTS]
    found = [path for pattern in patterns for path in sorted(data.glob(pattern))]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        sys.exit(f"{data}: expected one file {' or '.join(patterns)}, found {names}")
    return found[0]


def rows(source: Path) -> list[tuple[str, str, str]]:
    """Patient, file name and label of each line: patient file label [source]."""
    found = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        end = -1 if words[-1] in CLASSES else -2  # some lists name no source
        if len(words) < 2 - end or words[end] not in CLASSES:
            sys.exit(f"{source}: line {number}: expected patient, file, label, found {line!r}")
        found.append((words[0], " ".join(words[1:end]), words[end]))
    return found


if __name__ == "__main__":
    main()
