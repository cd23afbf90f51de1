r"""Measure recipes of training by patient: `xmir train` beside pytorch-metric-learning.

    python examples/training/cross_validate.py TABLE OUT --arch timm:NAME --weights FILE \
        --recipes "as it comes" default "peer triplet"

TABLE is a labels.csv (path, label, patient, split). Of its rows only those of the split train are
used: for each seed they are divided by patient into folds, of which each is held out once. With
--final training uses all of them, and the split test is held out. The seed is that of the training,
too. Every network is measured by the same two commands, `xmir embed` and `xmir retrieval-metric
--exclude-same patient`. What is done lies in OUT/results.jsonl; the next call goes on from there,
and prints the means over the runs and their standard deviation.

The recipes of pytorch-metric-learning need it, timm, and a network of timm's (see peers.py).
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from folds import deal

HERE = Path(__file__).parent
STEPS, HELD_OUT = 80, "held-out"
RECIPES = {
    "default": ["--steps", STEPS],
    "default, its own steps": [],
    "paper": ["--preset", "paper", "--steps", STEPS],
    "supcon": ["--steps", STEPS, "--loss", "supcon"],
    "constant": ["--steps", STEPS, "--schedule", "constant"],
    "1e-4": ["--steps", STEPS, "--learning-rate", "1e-4"],
    "nothing frozen": ["--steps", STEPS, "--freeze-layers", 0],
    "supcon, nothing frozen": ["--steps", STEPS, "--loss", "supcon", "--freeze-layers", 0],
    "batch norms frozen": ["--steps", STEPS, "--freeze-batchnorm"],
    "smallest class ends an epoch": ["--steps", STEPS, "--sampler", "smallest"],
    "random crops": ["--steps", STEPS, "--random-resized-crop"],
    "not shifted": ["--steps", STEPS, "--no-shift"],
    "not mirrored": ["--steps", STEPS, "--no-flip"],
}
PEERS = ("triplet", "supcon", "frozen-triplet", "frozen-supcon")
MEASURES = ("map", "p_at_1", "p_at_5")


def main() -> None:
    """Run what is missing and print what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", nargs="+", help=f"of {[*RECIPES, *map(peer, PEERS)]}")
    parser.add_argument("--arch", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, help="only so many folds a seed")
    parser.add_argument("--final", action="store_true", help="train on train, measure on test")
    parser.add_argument("--peers-python", default=sys.executable, help="one that has the peers")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    kept = asked.out / "results.jsonl"
    done = [json.loads(line) for line in kept.open()] if kept.exists() else []
    for recipe, name, seed, table in runs(asked, asked.recipes or ["as it comes", "default"]):
        if not any((row["recipe"], row["name"]) == (recipe, name) for row in done):
            found = {"recipe": recipe, "name": name, **measure(asked, recipe, seed, table)}
            done.append(found)
            with kept.open("a") as file:
                file.write(json.dumps(found) + "\n")
    for recipe in dict.fromkeys(row["recipe"] for row in done):
        print(row_of(recipe, [row for row in done if row["recipe"] == recipe]))


def peer(name: str) -> str:
    """How a recipe of peers.py is called here."""
    return f"peer {name}"


def runs(asked: argparse.Namespace, recipes: list[str]) -> Iterator[tuple[str, str, int, Path]]:
    """Recipe, name, seed and table of each run."""
    rows = list(csv.DictReader(asked.table.open()))
    for row in rows:
        row["path"] = str((asked.table.parent / row["path"]).resolve())
    for fold in [0] if asked.final else range(asked.held_out or asked.folds):
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            name = f"final-{seed}" if asked.final else f"{asked.folds}-{seed}-{fold}"
            table = asked.out / f"{name}.csv"
            write(table, whole(rows) if asked.final else divided(rows, asked.folds, seed, fold))
            yield from ((recipe, name, seed, table) for recipe in recipes)


def divided(rows: list[dict[str, str]], folds: int, seed: int, held: int) -> list[dict[str, str]]:
    """The training rows, those of a fold held out; by a name on which `xmir train` is silent."""
    training = [row for row in rows if row["split"] == "train"]
    fold_of = deal(training, folds, seed)
    return [
        row | {"split": HELD_OUT if fold_of[row["patient"]] == held else "train"}
        for row in training
    ]


def whole(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The training rows and those of the split test, which are held out."""
    kept = [row for row in rows if row["split"] in {"train", "test"}]
    return [row | {"split": HELD_OUT} if row["split"] == "test" else row for row in kept]


def write(table: Path, rows: list[dict[str, str]]) -> None:
    """A labels.csv of these rows."""
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def measure(asked: argparse.Namespace, recipe: str, seed: int, table: Path) -> dict[str, float]:
    """Train, embed what is held out and score it."""
    start = ["--arch", asked.arch, "--weights", asked.weights]
    made, vectors = asked.out / "made.safetensors", asked.out / "held-out.parquet"
    if recipe == "as it comes":
        model = start
    elif recipe in map(peer, PEERS):
        call(
            *(asked.peers_python, HERE / "peers.py", table, recipe.removeprefix("peer ")),
            *("--arch", asked.arch.removeprefix("timm:"), "--weights", asked.weights),
            *("--steps", STEPS, "--seed", seed, "-o", made),
        )
        model = ["--arch", asked.arch, "--weights", made]
    else:
        xmir("train", table, *start, *RECIPES[recipe], "--seed", seed, "--force", "-o", made)
        model = ["--model", made]
    xmir("embed", table, "--where", f"split={HELD_OUT}", *model, "--force", "-o", vectors)
    scores = xmir("retrieval-metric", vectors, "--exclude-same", "patient", "--format", "jsonl")
    found = json.loads(scores.splitlines()[0])
    return {name: found[name] for name in MEASURES}


def xmir(*arguments: object) -> str:
    """What a command prints."""
    return call(sys.executable, "-m", "xmir_cli", *arguments)


def call(*words: object) -> str:
    """What a program prints; what it says on the way is passed on. Ends as it does, if not well."""
    print("$", *words, file=sys.stderr, flush=True)
    done = subprocess.run(  # noqa: S603 # our own
        [*map(str, words)], check=False, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    return done.stdout if done.returncode == 0 else sys.exit(done.returncode)


def row_of(recipe: str, found: list[dict[str, float]]) -> str:
    """A row of the table: mean and standard deviation of each measure."""
    told = []
    for name in MEASURES:
        values = [100 * row[name] for row in found]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        told.append(f"{statistics.mean(values):.1f}{spread}")
    return f"| {recipe} | {len(found)} | {' | '.join(told)} |"


if __name__ == "__main__":
    main()
