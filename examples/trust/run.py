"""Do the maps tell the truth? Trains five small networks on phantoms and scores every method.

    python examples/trust/run.py OUT                 # hours: three seeds, five networks
    python examples/trust/run.py OUT --seeds 0 --networks convolutions     # minutes

The phantoms have one opacity, whose place is known. A pair is a query and a retrieved image of the
same label; a map of the retrieved image should lie on its opacity, should not when the query is one
of another label, and should not when the network's weights are fresh. What is there already is not
made again. OUT/table.md, OUT/table.jsonl (a row a network and method), OUT/maps.jsonl (a row a
map) and OUT/figure.png are the results.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
os.environ["XMIR_NETWORKS"] = str(HERE)  # networks.py is code, which records may name
sys.path[:0] = [str(HERE), str(HERE.parent)]

import phantoms  # noqa: E402 # beside this folder
from networks import SIZE  # noqa: E402 # beside this file
from summary import summarize  # noqa: E402
from truth import score  # noqa: E402

from xmir_cli.errors import XmirError  # noqa: E402
from xmir_cli.stories import (  # noqa: E402
    causal_metric,
    embed,
    index,
    query,
    retrieval_metric,
    saliency,
    train,
)

Record = dict[str, object]
NETWORKS = ("class_token", "registers", "mean_of_tokens", "attention_pooling", "convolutions")
WINDOWS = {"window_size": "16", "stride": "8"}
METHODS: dict[str, tuple[str, dict[str, str]]] = {  # the row's name: the method and its settings
    "activation": ("activation", {}),
    "bilrp": ("bilrp", {}),
    "attention": ("attention", {}),
    "gradcam": ("gradcam", {}),
    "weight-transfer": ("weight-transfer", {}),
    "occlusion, gray": ("occlusion", WINDOWS),
    "occlusion, black": ("occlusion", WINDOWS | {"fill": "black"}),
    "rise": ("rise", {"masks": "150"}),
    "integrated-gradients": ("integrated-gradients", {"path_steps": "16"}),
    "edges": ("edges", {}),
    "center": ("center", {}),
    "random": ("random", {}),
}
CONTROLS = "random,center"
BATCH = 64  # images in one pass


@dataclass(frozen=True)
class Job:
    """One network of one seed, and the folder of all that belongs to it."""

    network: str
    seed: int
    data: Path
    folder: Path

    @property
    def architecture(self) -> str:
        """As `--arch` takes it."""
        return f"{HERE / 'networks.py'}:{self.network}"


def run(asked: argparse.Namespace) -> None:
    """Everything, or what is left of it."""
    rows: list[Record] = []
    for seed in asked.seeds:
        data = asked.out / f"phantoms-{seed}"
        if not (data / "labels.csv").exists():
            phantoms.write(data, asked.count, SIZE, seed, phantoms.SPOTS)
        for network in asked.networks:
            job = Job(network, seed, data, asked.out / f"{network}-{seed}")
            job.folder.mkdir(exist_ok=True)
            prepare(job, asked.epochs, asked.per_class)
            pairs = choose_pairs(job, asked.pairs)
            rows += list(evaluate(job, pairs, asked.methods))
    write(asked.out / "maps.jsonl", rows)
    summarize(rows, asked.out)


def prepare(job: Job, epochs: int, per_class: int) -> None:
    """A trained network, the index of its test images, and how well it retrieves."""
    table, model = str(job.data / "labels.csv"), job.folder / "model.safetensors"
    vectors, gallery = job.folder / "test.parquet", job.folder / "test.xmir"
    if not model.exists():
        say(f"training {job.network}, seed {job.seed}")
        asked = train.Train(
            images=[table], architecture=job.architecture, weights=f"random:{job.seed}",
            seed=job.seed, epochs=epochs, per_class=per_class, learning_rate=1e-3, no_flip=True,
            output=model, resume=True,
        )  # fmt: skip
        write(job.folder / "epochs.jsonl", train.run(asked))
    if not (job.folder / "retrieval.jsonl").exists():
        where = ["split=test"]
        asked = embed.Embed(images=[table], where=where, model=model, output=vectors, force=True)
        list(embed.run(asked))
        list(index.run(index.Index(source=str(vectors), output=str(gallery), force=True)))
        asked = retrieval_metric.RetrievalMetric(source=str(vectors), exclude_same="patient")
        write(job.folder / "retrieval.jsonl", retrieval_metric.run(asked))


def choose_pairs(job: Job, count: int) -> list[Record]:
    """Pairs of one label that show an opacity, each retrieved image once, labels in turn."""
    file = job.folder / "pairs.jsonl"
    if file.exists():
        return read(file)
    asked = query.Query(
        everything=True, index=str(job.folder / "test.xmir"), exclude_same="patient", top=20
    )
    hits: dict[str, list[Record]] = {}
    for hit in query.run(asked):
        if hit["match"] and hit["query_label"] != "clear":
            hits.setdefault(str(hit["query"]), []).append(hit)
    rng = np.random.default_rng(job.seed)
    order = rng.permutation(sorted(hits)).tolist()
    turns = {name: turn for label in phantoms.SPOTS for turn, name in enumerate(
        name for name in order if hits[name][0]["query_label"] == label)}  # fmt: skip
    used: set[object] = set()
    pairs: list[Record] = []
    for name in sorted(order, key=turns.__getitem__):
        best = next((hit for hit in hits[name] if hit["retrieved"] not in used), None)
        if best is not None and len(pairs) < count:
            used.add(best["retrieved"])
            pairs.append(best)
    write(file, pairs)
    return pairs


def questions(job: Job, pairs: Sequence[Record]) -> list[Record]:
    """Each pair as it is, with a query of another label, and under fresh weights."""
    rng = np.random.default_rng((job.seed, 1))
    with (job.data / "labels.csv").open(newline="") as file:
        test = [row for row in csv.DictReader(file) if row["split"] == "test"]
    plain = [{name: pair[name] for name in
              ("query", "retrieved", "query_label", "retrieved_label", "index", "model")}
             for pair in pairs]  # fmt: skip
    others = []
    for pair in plain:
        wrong = [row for row in test if row["label"] != pair["query_label"]]
        row = wrong[rng.integers(len(wrong))]
        others.append(pair | {"query": str(job.data / row["path"]), "query_label": row["label"]})
    fresh = {"weights": f"random:{1000 + job.seed}", "weights_sha256": ""}
    return [
        *(pair | {"asked": "right"} for pair in plain),
        *(pair | {"asked": "wrong query"} for pair in others),
        *(pair | {"asked": "reset weights", "model": {**pair["model"], **fresh}} for pair in plain),
    ]


def evaluate(job: Job, pairs: Sequence[Record], methods: Iterable[str]) -> Iterator[Record]:
    """A row a map: its truth and, where the question is the right one, insertion and deletion."""
    asked = questions(job, pairs)
    masks = {Path(str(pair["retrieved"])).name: mask_of(job, pair) for pair in pairs}
    for name in methods:
        file = job.folder / f"{slug(name)}.jsonl"
        if not file.exists():
            say(f"{job.network}, seed {job.seed}: {name}")
            write(file, score_method(job, name, asked, masks))
        yield from read(file)


def score_method(
    job: Job, name: str, asked: Sequence[Record], masks: Mapping[str, np.ndarray]
) -> Iterator[Record]:
    """The rows of one method, or one row with the reason why there are none."""
    folder = job.folder / slug(name)
    folder.mkdir(exist_ok=True)
    about: Record = {"network": job.network, "seed": job.seed, "method": name}
    try:
        maps = explain(job, name, asked, folder)
    except XmirError as error:
        yield about | {"refused": str(error)}
        return
    gains = causal(folder, maps)
    for record in maps:
        image = Path(str(record["retrieved"])).name
        found = score(np.load(str(record["saliency"])), masks[image])
        row = {key: record[key] for key in ("asked", "query_label", "retrieved_label")}
        names = {"query": Path(str(record["query"])).name, "retrieved": image}
        area = float(masks[image].mean())
        yield about | row | names | {"area": area} | asdict(found) | gains.get(slug_of(record), {})


def explain(job: Job, name: str, asked: Sequence[Record], folder: Path) -> list[Record]:
    """The records of `xmir saliency` for a method and all questions."""
    method, settings = METHODS[name]
    write(folder / "asked.jsonl", asked)
    return list(saliency.run(saliency.Saliency(
        records=str(folder / "asked.jsonl"), method=method, settings=settings, overlay=False,
        output=folder, batch=BATCH,
        cache=job.folder / "cache" if method in ("occlusion", "rise") else None,
    )))  # fmt: skip


def causal(folder: Path, maps: Sequence[Record]) -> dict[tuple[object, ...], Record]:
    """Insertion and deletion of the maps of the right question, and the gains over controls."""
    write(folder / "maps.jsonl", (record for record in maps if record["asked"] == "right"))
    scored = causal_metric.run(causal_metric.CausalMetric(
        records=str(folder / "maps.jsonl"), control=CONTROLS, curve_steps=12, batch=BATCH
    ))  # fmt: skip
    return {
        slug_of(record): {
            measure: record[measure]
            for measure in ("insertion", "deletion", "insertion_gain", "deletion_gain")
        }
        for record in scored
    }


def slug_of(record: Record) -> tuple[object, ...]:
    """What tells the maps of a method apart."""
    return record["asked"], record["query"], record["retrieved"]


def slug(name: str) -> str:
    """A method's row as the name of a file."""
    return name.replace(", ", "-").replace(" ", "")


def mask_of(job: Job, pair: Record) -> np.ndarray:
    """Where the opacity of a retrieved image is [SIZE, SIZE]; its picture has the map's size."""
    with Image.open(job.data / "masks" / Path(str(pair["retrieved"])).name) as mask:
        return np.asarray(mask) > 0


def read(file: Path) -> list[Record]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(file: Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines; the file is there when all are."""
    part = file.with_suffix(".part")
    with part.open("w", buffering=1) as out:  # a line as it comes
        out.writelines(f"{json.dumps(record)}\n" for record in records)
    part.rename(file)


def say(message: str) -> None:
    """A line on how far the run has come."""
    print(message, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    first, rest = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder for all results")
    whole = {"type": int, "metavar": "N"}
    parser.add_argument("--seeds", **whole, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--count", **whole, default=1500, help="phantoms of a seed")
    parser.add_argument("--epochs", **whole, default=14, help="of training")
    parser.add_argument("--per-class", **whole, default=8, help="of a batch")
    parser.add_argument("--pairs", **whole, default=16, help="of a network")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    asked = parse(arguments)
    asked.out = asked.out.absolute()
    asked.out.mkdir(parents=True, exist_ok=True)
    run(asked)


if __name__ == "__main__":
    main()
