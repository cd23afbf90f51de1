"""What better embeddings without training are worth, cross-validated by patient on images of yours.

    python examples/embeddings.py OUT LABELS.csv --arch timm:tf_efficientnet_lite0 --weights FILE
    python examples/embeddings.py OUT LABELS.csv --where split=test --model run.safetensors

LABELS.csv has path, label and patient. The images are embedded as they are, mirrored, and closer (a
larger --resize); a fifth of the patients ask, the others are the gallery, on which a whitening is
fitted and a linear head is trained; five folds, three shuffles. OUT/embeddings.md is the table:
mean and standard deviation over the fifteen. What is embedded already is not embedded again.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from xmir_cli.commands.embed import Embed
from xmir_cli.commands.index import Index
from xmir_cli.commands.retrieval_metric import RetrievalMetric
from xmir_cli.commands.train import Train
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.resolve import resolve_model
from xmir_cli.pictures.items import list_items
from xmir_cli.pictures.reading import read_image
from xmir_cli.retrieval.collection import take_rows
from xmir_cli.store.embeddings import Embeddings, read_embeddings, write_embeddings
from xmir_cli.stories import embed, index, retrieval_metric, train

FOLDS, SEEDS, POWER = 5, 3, 3.0
DIMS = (32, 64, 128)  # of whitenings, where there are so many numbers and images
PER_CLASS, STEPS = 16, 200  # of the head's training: its own default
NUMBERS = ("map", "p_at_1", "p_at_5")


@dataclass(frozen=True)
class Variant:
    """One row of the table: which embeddings ask which, and how the index is built."""

    name: str
    queries: Embeddings
    gallery: Embeddings
    whiten: int | None = None
    head: bool = False  # whether one is trained on the gallery, for both


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure embeddings without training.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument("labels", metavar="LABELS.csv")
    parser.add_argument("--where", action="append", metavar="COLUMN=VALUE")
    parser.add_argument("--model")
    parser.add_argument("--arch")
    parser.add_argument("--weights")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    table = measure(asked)
    (asked.out / "embeddings.md").write_text(table)
    sys.stdout.write(table)


def measure(asked: argparse.Namespace) -> str:
    """The table as Markdown."""
    plain = embedded(asked, "plain", asked.labels, features=True)
    mirrored = embedded(asked, "mirrored", str(mirror(asked)))
    closer = embedded(
        asked, "closer", asked.labels, resize=plain.model.preprocessing.resize * 9 // 8
    )
    both = replace(plain, vectors=mean_of(plain.vectors, mirrored.vectors))
    gem = replace(plain, vectors=unit(np.concatenate(list(pooled(plain)))), features=None)
    plain = replace(plain, features=None)
    dims = [dim for dim in DIMS if dim <= plain.dim and dim < plain.rows * 3 // 4]
    variants = [
        Variant("as it is", plain, plain),
        Variant(f"GeM, p = {POWER:g}", gem, gem),
        *(Variant(f"`index --whiten {dim}`", plain, plain, dim) for dim in dims),
        Variant("`train EMBEDDINGS`", plain, plain, head=True),
        Variant("mean with the mirror image, query", both, plain),
        Variant("mean with the mirror image, both", both, both),
        Variant(f"`--resize {closer.model.preprocessing.resize}`, both", closer, closer),
    ]
    lines = ["| embeddings | mAP | P@1 | P@5 |", "|---|---|---|---|"]
    for variant in variants:
        found = 100 * np.array(list(score(variant, asked.out)))
        cells = zip(found.mean(axis=0), found.std(axis=0), strict=True)
        told = " | ".join(f"{mean:.1f} ± {spread:.1f}" for mean, spread in cells)
        lines.append(f"| {variant.name} | {told} |")
    return "\n".join(lines) + "\n"


def embedded(
    asked: argparse.Namespace,
    name: str,
    images: str,
    features: bool = False,
    resize: int | None = None,
) -> Embeddings:
    """The embeddings of a manifest's images, from OUT/NAME.parquet if they are there."""
    path = asked.out / f"{name}.parquet"
    if not path.exists():
        how = {"model": asked.model, "architecture": asked.arch, "weights": asked.weights}
        where = asked.where if name != "mirrored" else None
        named = {key: value for key, value in how.items() if value is not None}
        list(
            embed.run(
                Embed(images=[images], output=str(path), features=features, resize=resize,
                      where=where, **named)
            )
        )  # fmt: skip
    return read_embeddings(str(path))


def mirror(asked: argparse.Namespace) -> Path:
    """A manifest of the images as the network sees them, left and right exchanged."""
    table = asked.out / "mirrored.csv"
    if table.exists():
        return table
    recipe = resolve_model(ModelChoice(asked.model, asked.arch, asked.weights)).preprocessing
    rows, folder = ["path,label"], asked.out / "mirrored"
    folder.mkdir(exist_ok=True)
    for number, item in enumerate(chosen(asked)):
        seen = read_image(item, recipe).picture.pixels
        path = folder / f"{number:06d}.png"
        seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
        rows.append(f"mirrored/{path.name},")
    table.write_text("\n".join(rows) + "\n")
    return table


def chosen(asked: argparse.Namespace) -> list[str]:
    """The paths of the images, in their order."""
    return [item.path for item in list_items([asked.labels], False, asked.where)]


def pooled(plain: Embeddings) -> Iterator[np.ndarray]:
    """The generalised mean of the last feature maps (Radenovic et al. 2018)."""
    assert plain.features is not None
    for maps in plain.features.blocks():
        powers = maps.astype(np.float64).clip(min=1e-6) ** POWER
        yield powers.mean(axis=(2, 3)) ** (1 / POWER)


def score(variant: Variant, out: Path) -> Iterator[list[float]]:
    """mAP, P@1 and P@5 of each fold of each shuffle."""
    items = variant.gallery.items
    patients, labels = items["patient"].to_pylist(), items["label"].to_pylist()
    for seed in range(SEEDS):
        folds = fold(patients, labels, seed)
        for number in range(FOLDS):
            queries, gallery, made = (
                out / f"fold.{end}" for end in ("q.parquet", "g.parquet", "xmir")
            )
            for path, images, rows in (
                (queries, variant.queries, folds == number),
                (gallery, variant.gallery, folds != number),
            ):
                path.unlink(missing_ok=True)
                write_embeddings(path, without_splits(take_rows(images, np.flatnonzero(rows))))
            if variant.head:
                train_head(gallery, queries, seed)
            list(
                index.run(
                    Index(source=str(gallery), output=str(made), whiten=variant.whiten, force=True)
                )
            )
            (record,) = retrieval_metric.run(
                RetrievalMetric(source=str(queries), gallery=str(made))
            )
            yield [float(str(record[name])) for name in NUMBERS]


def without_splits(found: Embeddings) -> Embeddings:
    """The same rows, all of them to be trained on."""
    held = [name for name in found.items.column_names if name != "split"]
    return replace(found, items=found.items.select(held))


def train_head(gallery: Path, queries: Path, seed: int) -> None:
    """Put a linear head that the gallery trains behind the vectors of both, in their place."""
    head = gallery.with_name("fold.safetensors")
    terms = {"per_class": PER_CLASS, "steps": STEPS, "seed": seed, "force": True}
    list(train.run(Train(images=[str(gallery)], output=str(head), **terms)))
    for path in (gallery, queries):
        longer = path.with_name("fold.head.parquet")
        list(embed.run(Embed(images=[str(path)], output=str(longer), model=str(head), force=True)))
        longer.replace(path)


def fold(patients: Sequence[str], labels: Sequence[str], seed: int) -> np.ndarray:
    """The fold of each image; a patient's are in one, and every fold has patients of each label."""
    rng, first = np.random.default_rng(seed), dict(zip(patients[::-1], labels[::-1], strict=True))
    found: dict[str, int] = {}
    for label in sorted(set(first.values())):
        own = sorted(patient for patient, its in first.items() if its == label)
        found |= {own[row]: place % FOLDS for place, row in enumerate(rng.permutation(len(own)))}
    return np.array([found[patient] for patient in patients])


def mean_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The means of unit vectors [N, D], at length 1."""
    return unit(first.astype(np.float64) + second)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [N, D] at length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
