"""Plant faults in an archive, audit it, and say how many are found and how many findings are right.

    python examples/audit.py TABLE OUT --seed 0 -- --arch timm:tf_efficientnet_lite0

What stands behind `--` goes to `xmir embed`. TABLE needs path, label, patient and split. Planted
are, of images drawn at random: equal files, re-encoded ones (JPEG of quality 60), rescaled ones
(60 %) and mirrored ones, which get no patient and another name; another label (5 % of the images);
one image of 8 patients in the test set whose others train; and 6 synthetic skin pictures. Prints a
line of JSON a kind.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

TRUST = Path(__file__).resolve().parent / "trust"
COPIES, PATIENTS, FOREIGN, FLIPPED = 12, 8, 6, 0.05
TURNED = {
    "equal file": None,
    "re-encoded": lambda image: image,
    "rescaled": lambda image: image.resize((image.width * 3 // 5, image.height * 3 // 5)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
Row = dict[str, str]


@dataclass
class Planted:
    """What was planted, by the ids of the images."""

    copies: dict[str, dict[str, str]] = field(default_factory=dict)  # kind: copy: what it is of
    labels: set[str] = field(default_factory=set)
    leaks: set[str] = field(default_factory=set)  # patients
    foreign: set[str] = field(default_factory=set)


def read(table: Path) -> list[Row]:
    """The rows of a table, their ids as they are written, their paths absolute."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("path", "label", "patient", "split")
    found = [{"id": row["path"], **{name: row[name] for name in names}} for row in rows]
    return [{**row, "path": str((table.parent / row["path"]).resolve())} for row in found]


def plant(rows: list[Row], out: Path, rng: np.random.Generator) -> tuple[list[Row], Planted]:
    """The rows with faults among them, and which those are."""
    planted, own = Planted(), list(rng.permutation(len(rows)))
    _move_patients(rows, planted, rng)
    for row in (rows[own.pop()] for _ in range(round(FLIPPED * len(rows)))):
        row["label"] = rng.choice(sorted({each["label"] for each in rows} - {row["label"]}))
        planted.labels.add(row["id"])
    new = []
    for kind, turn in TURNED.items():
        for row in (rows[own.pop()] for _ in range(COPIES)):
            new.append(_copy(row, kind, turn, out))
            planted.copies.setdefault(kind, {})[new[-1]["id"]] = row["id"]
    new += _foreign(rows, planted, out)
    return rows + new, planted


def _move_patients(rows: list[Row], planted: Planted, rng: np.random.Generator) -> None:
    """One image of some patients goes from the training set to the test set."""
    by_patient: dict[str, list[Row]] = {}
    for row in rows:
        if row["split"] == "train":
            by_patient.setdefault(row["patient"], []).append(row)
    several = sorted(patient for patient, own in by_patient.items() if len(own) > 1)
    for patient in rng.choice(several, min(PATIENTS, len(several)), replace=False).tolist():
        by_patient[patient][-1]["split"] = "test"
        planted.leaks.add(patient)


def _copy(row: Row, kind: str, turn: Callable[[Image.Image], Image.Image] | None, out: Path) -> Row:
    name = f"{kind}/{row['id'].replace('/', '_')}"
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if turn is None:
        shutil.copyfile(row["path"], path)
    else:
        with Image.open(row["path"]) as image:
            path = path.with_suffix(".jpg")
            turn(image.convert("L")).save(path, quality=60)
    return {**row, "id": name, "path": str(path), "patient": ""}


def _foreign(rows: list[Row], planted: Planted, out: Path) -> list[Row]:
    """Skin pictures under a label of the archive."""
    folder = out / "skin"
    draw = [sys.executable, TRUST / "skin.py", folder, "--count", f"{FOREIGN}", "--size", "224"]
    subprocess.run(draw, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # own words
    pictures = sorted((folder / "images").iterdir())[:FOREIGN]
    planted.foreign = {f"skin/{path.name}" for path in pictures}
    like = {"label": rows[0]["label"], "patient": "", "split": "train"}
    return [{"id": f"skin/{path.name}", "path": str(path), **like} for path in pictures]


def audit(rows: list[Row], out: Path, embed: list[str], options: list[str]) -> list[dict]:
    """The findings of `xmir audit` on the rows."""
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    xmir = [sys.executable, "-m", "xmir_cli"]
    made = out / "embeddings.parquet"
    make = [*xmir, "embed", out / "labels.csv", *embed, "--resume", "-o", made]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # own words
    ask = [*xmir, "audit", made, *options]
    found = subprocess.run(ask, check=True, stdout=subprocess.PIPE)  # noqa: S603 # own words
    return [json.loads(line) for line in found.stdout.splitlines()]


def score(findings: Iterable[dict], planted: Planted, rows: list[Row]) -> list[dict]:
    """How many of each kind are found, and how many findings are planted ones."""
    by: dict[str, list[tuple[str, str]]] = {}
    for each in findings:
        other = each["meta"].get("id", "")
        by.setdefault(each["finding"], []).append(
            ((each.get("query_meta") or {}).get("id", other), other)
        )
    pairs = {frozenset(pair) for pair in by.get("duplicate", [])}
    every = {copy: of for kind in planted.copies.values() for copy, of in kind.items()}
    told = [
        _line(kind, len(own), sum(frozenset(pair) in pairs for pair in own.items()))
        for kind, own in planted.copies.items()
    ]
    right = sum(frozenset(pair) in pairs for pair in every.items())
    told.append(_line("duplicates", len(every), right, len(pairs), right))
    patients = {row["id"]: row["patient"] for row in rows}
    leaks = {patients[row] for row, _ in by.get("leak", [])}
    found = len(leaks & planted.leaks)
    told.append(_line("leaks", len(planted.leaks), found, len(leaks), found))
    for name, finding, truth in (
        ("labels", "label", planted.labels),
        ("foreign", "outlier", planted.foreign),
    ):
        own = {row for row, _ in by.get(finding, [])}
        told.append(_line(name, len(truth), len(own & truth), len(own), len(own & truth)))
    return told


def _line(kind: str, planted: int, found: int, findings: int | None = None, right: int = 0) -> dict:
    line = {
        "kind": kind,
        "planted": planted,
        "found": found,
        "recall": round(found / max(1, planted), 3),
    }
    if findings is not None:
        precision = round(right / findings, 3) if findings else None
        line |= {"findings": findings, "precision": precision}
    return line


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plant faults, and say how many are found.")
    parser.add_argument("table", type=Path, metavar="TABLE")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--audit", default="", help="more options of xmir audit, in one text")
    own, _, embed = " ".join(sys.argv[1:]).partition(" -- ")
    asked = parser.parse_args(own.split())
    asked.out.mkdir(parents=True, exist_ok=True)
    rows, planted = plant(read(asked.table), asked.out.resolve(), np.random.default_rng(asked.seed))
    findings = audit(rows, asked.out.resolve(), embed.split(), asked.audit.split())
    for line in score(findings, planted, rows):
        print(json.dumps({"seed": asked.seed, **line}))


if __name__ == "__main__":
    main()
