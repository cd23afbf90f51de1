"""Plant faults in an archive, audit it, and say how many are found and how many findings are right.

    python examples/audit.py TABLE OUT --seed 0 -- --arch timm:tf_efficientnet_lite0

What stands behind `--` goes to `xmir embed`. TABLE needs path, label, patient and split. Planted
are, of images drawn at random: equal files, re-encoded ones (JPEG of quality 60), rescaled ones
(60 %) and mirrored ones, which get no patient and another name, every other one on the other side
of training and test; another label (5 % of the images); one image of 8 patients in the test set
whose others train; and 6 pictures of another kind, synthetic skin, or with `--foreign phantoms`
radiographs. With `--head` a linear head is trained on the vectors, flipped labels and copies among
them, and its embeddings are audited, too. Prints a line of JSON a kind.
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

HERE = Path(__file__).resolve().parent
DRAWERS = {"skin": HERE / "trust" / "skin.py", "phantoms": HERE / "phantoms.py"}
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
    crossing: dict[str, str] = field(default_factory=dict)  # those on the other side of a split
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


def plant(
    rows: list[Row], out: Path, rng: np.random.Generator, drawer: str = "skin"
) -> tuple[list[Row], Planted]:
    """The rows with faults among them, and which those are."""
    planted, own = Planted(), list(rng.permutation(len(rows)))
    _move_patients(rows, planted, rng)
    for row in (rows[own.pop()] for _ in range(round(FLIPPED * len(rows)))):
        row["label"] = rng.choice(sorted({each["label"] for each in rows} - {row["label"]}))
        planted.labels.add(row["id"])
    new = []
    for kind, turn in TURNED.items():
        for number, row in enumerate(rows[own.pop()] for _ in range(COPIES)):
            copy = _copy(row, kind, turn, out)
            planted.copies.setdefault(kind, {})[copy["id"]] = row["id"]
            if number % 2:
                copy["split"] = "test" if row["split"] == "train" else "train"
                planted.crossing[copy["id"]] = row["id"]
            new.append(copy)
    new += _foreign(rows, planted, out, drawer)
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


def _foreign(rows: list[Row], planted: Planted, out: Path, drawer: str) -> list[Row]:
    """Pictures of another kind under a label of the archive."""
    folder = out / drawer
    draw = [sys.executable, DRAWERS[drawer], folder, "--count", f"{FOREIGN}", "--size", "224"]
    subprocess.run(draw, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # own words
    pictures = sorted((folder / "images").iterdir())[:FOREIGN]
    planted.foreign = {f"{drawer}/{path.name}" for path in pictures}
    like = {"label": rows[0]["label"], "patient": "", "split": "train"}
    return [{"id": f"{drawer}/{path.name}", "path": str(path), **like} for path in pictures]


def embed(rows: list[Row], out: Path, options: list[str]) -> Path:
    """The embeddings of the rows."""
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    made = out / "embeddings.parquet"
    xmir("embed", out / "labels.csv", *options, "--resume", "-o", made)
    return made


def apply_head(made: Path, out: Path) -> Path:
    """The embeddings of a head that is trained on the vectors of the training set."""
    head, turned = out / "head.safetensors", out / "head.parquet"
    xmir("train", made, "--force", "-o", head)
    xmir("embed", made, "--model", head, "--force", "-o", turned)
    return turned


def xmir(*arguments: object) -> bytes:
    """What a command prints; ends as it does, if not well."""
    command = [sys.executable, "-m", "xmir_cli", *map(str, arguments)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)  # noqa: S603 # own words
    return done.stdout if done.returncode == 0 else sys.exit(done.returncode)


def score(findings: Iterable[dict], planted: Planted, rows: list[Row]) -> list[dict]:
    """How many of each kind are found, and how many findings are planted ones."""
    by: dict[str, list[tuple[str, str]]] = {}
    for each in findings:
        other = each["meta"].get("id", "")
        kind = "crossing" if each["why"].startswith("copies in") else each["finding"]
        by.setdefault(kind, []).append(((each.get("query_meta") or {}).get("id", other), other))
    pairs = {frozenset(pair) for pair in by.get("duplicate", [])}
    every = {copy: of for kind in planted.copies.values() for copy, of in kind.items()}
    told = [
        _line(kind, len(own), sum(frozenset(pair) in pairs for pair in own.items()))
        for kind, own in planted.copies.items()
    ]
    right = sum(frozenset(pair) in pairs for pair in every.items())
    told.append(_line("duplicates", len(every), right, len(pairs), right))
    crossing = {frozenset(pair) for pair in by.get("crossing", [])}
    right = sum(frozenset(pair) in crossing for pair in planted.crossing.items())
    told.append(_line("copies in two splits", len(planted.crossing), right, len(crossing), right))
    patients = {row["id"]: row["patient"] for row in rows}
    leaks = {patients[row] for row, _ in by.get("leak", [])}
    found = len(leaks & planted.leaks)
    told.append(_line("patients in two splits", len(planted.leaks), found, len(leaks), found))
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
    parser.add_argument("--foreign", choices=list(DRAWERS), default="skin")
    parser.add_argument("--head", action="store_true", help="audit a trained head, too")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    asked, options = parser.parse_args(words[:cut]), words[cut + 1 :]
    out, rng = asked.out.resolve(), np.random.default_rng(asked.seed)
    out.mkdir(parents=True, exist_ok=True)
    rows, planted = plant(read(asked.table), out, rng, asked.foreign)
    audited = [embed(rows, out, options)]
    audited += [apply_head(audited[0], out)] if asked.head else []
    for made in audited:
        found = xmir("audit", made, *asked.audit.split()).splitlines()
        for line in score(map(json.loads, found), planted, rows):
            print(json.dumps({"vectors": made.stem, "seed": asked.seed, **line}))


if __name__ == "__main__":
    main()
