"""Do the maps tell the truth? Trains five small networks on phantoms and scores every method.

    python examples/trust/run.py OUT                 # hours: three seeds, five networks
    python examples/trust/run.py OUT --seeds 0 --networks convolutions     # minutes
    python examples/trust/run.py OUT --table xrays/labels.csv    # pictures of your own

The phantoms have one opacity, whose place is known. A pair is a query and a retrieved image of the
same label; a map of the retrieved image should lie on its opacity, should not when the query is one
of another label, and should not when the network's weights are fresh. What is there already is not
made again. OUT/table.md, OUT/table.jsonl (a row a network and method), OUT/maps.jsonl (a row a
map) and OUT/figure.png are the results.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["XMIR_NETWORKS"] = str(HERE)  # networks.py is code, which records may name
sys.path[:0] = [str(HERE), str(HERE.parent)]

import phantoms  # noqa: E402 # beside this folder
from job import Job, Record, read, say, write  # noqa: E402 # these are beside this file
from methods import METHODS  # noqa: E402
from networks import SIZE  # noqa: E402
from questions import choose_pairs  # noqa: E402
from score import BATCH, evaluate  # noqa: E402
from summary import summarize  # noqa: E402

from xmir_cli.stories import embed, index, retrieval_metric, train  # noqa: E402

NETWORKS = ("class_token", "registers", "mean_of_tokens", "attention_pooling", "convolutions")


def run(asked: argparse.Namespace) -> None:
    """Everything, or what is left of it."""
    rows: list[Record] = []
    retrieval: dict[str, list[float]] = {}
    for seed in asked.seeds:
        table = asked.table or _draw(asked.out / f"phantoms-{seed}", asked.count, seed)
        for network in asked.networks:
            job = Job(network, seed, table.absolute(), asked.out / f"{network}-{seed}")
            job.folder.mkdir(exist_ok=True)
            _train(job, asked.epochs, asked.per_class)
            retrieval.setdefault(network, []).append(_index(job))
            rows += evaluate(job, choose_pairs(job, asked.pairs), asked.methods)
    write(asked.out / "maps.jsonl", rows)
    summarize(rows, retrieval, asked.out)


def _draw(folder: Path, count: int, seed: int) -> Path:
    """The table of the phantoms of a seed."""
    if not folder.exists():
        part = folder.with_suffix(".part")
        phantoms.write(part, count, SIZE, seed, phantoms.SPOTS)
        part.rename(folder)
    return folder / "labels.csv"


def _train(job: Job, epochs: int, per_class: int) -> None:
    """Most epochs with large steps, the last ones with small steps."""
    few = max(1, epochs * 2 // 9)
    weights = f"random:{job.seed}"
    for name, count, step in (("first", epochs - few, 1e-3), ("model", few, 2e-4)):
        model = job.folder / f"{name}.safetensors"
        if not model.exists():
            say(f"training {job.network}, seed {job.seed}, {count} epochs")
            asked = train.Train(
                images=[str(job.table)], architecture=job.architecture, weights=weights,
                preset="paper", seed=job.seed, epochs=count, per_class=per_class,
                learning_rate=step, no_flip=True, output=model, resume=True,
            )  # fmt: skip
            write(job.folder / f"{name}.jsonl", train.run(asked))
        weights = str(model)


def _index(job: Job) -> float:
    """Index the test images under the trained network and a fresh one; the trained one's mAP."""
    results = job.folder / "retrieval.jsonl"
    if not results.exists():
        write(results, _build(job))
    return float(str(read(results)[0]["map"]))


def _build(job: Job) -> list[Record]:
    for name, network in (
        ("fresh", {"architecture": job.architecture, "weights": f"random:{1000 + job.seed}"}),
        ("trained", {"model": str(job.folder / "model.safetensors")}),
    ):
        vectors = job.folder / f"{name}.parquet"
        list(embed.run(embed.Embed(
            images=[str(job.table)], where=["split=test"], output=vectors, force=True,
            batch=BATCH, **network,
        )))  # fmt: skip
        list(index.run(index.Index(source=str(vectors), output=job.index(name), force=True)))
    asked = retrieval_metric.RetrievalMetric(source=str(vectors), exclude_same="patient")
    return list(retrieval_metric.run(asked))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    first, rest = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder for all results")
    own = "in place of phantoms: path, label, patient, split of pictures; mask where one is known"
    parser.add_argument("--table", type=Path, metavar="FILE", help=own)
    whole = {"type": int, "metavar": "N"}
    parser.add_argument("--seeds", **whole, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--count", **whole, default=1500, help="phantoms of a seed")
    parser.add_argument("--epochs", **whole, default=45, help="of training")
    parser.add_argument("--per-class", **whole, default=4, help="of a batch")
    parser.add_argument("--pairs", **whole, default=24, help="of a network")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    asked = _parse(arguments)
    asked.out = asked.out.absolute()
    asked.out.mkdir(parents=True, exist_ok=True)
    run(asked)


if __name__ == "__main__":
    main()
