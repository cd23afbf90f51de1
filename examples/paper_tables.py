"""Prints Tables 1 and 2 of a run of paper.sh, the paper's numbers in brackets.

python paper_tables.py OUT covid|isic|none ARCH "SEEDS" "MODELS"
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

NAMES = {"untrained": " as it comes", "plain": "", "rr": "+RR", "head": "+256-d"}
NAMES["rr-head"] = "+RR+256-d"
METHODS = {"occlusion": "Occlusion", "attention": "Attention", "activation": "Activation mapping"}
BLIND = {"random": "control: random pixels", "center": "control: centre first"}
PLACES = ("hit", "energy", "auroc")  # of localization-metric
PLACED = ("center",)  # the control that it has
BLIND |= {"edges": "control: edges first", "uniform": "control: rows from the top"}

SETS = {"covid": "COVIDx", "isic": "ISIC 2017"}
# Hu, Vasu and Hoogs, Table 1: mAP, P@1, P@5
RETRIEVAL = {
    "covid": {
        "plain": (87.6, 90.0, 89.9),
        "rr": (86.6, 89.4, 88.8),
        "head": (88.4, 90.8, 90.3),
        "rr-head": (86.2, 88.1, 89.2),
    },
    "isic": {
        "plain": (57.5, 66.3, 64.6),
        "rr": (61.6, 69.6, 69.2),
        "head": (56.0, 64.7, 62.4),
        "rr-head": (59.7, 67.0, 66.2),
    },
}
# Table 2: insertion, deletion
CAUSAL = {
    "covid": {
        "occlusion": (83.2, 64.8),
        "attention": (85.4, 67.6),
        "activation": (85.5, 67.5),
        "occlusion (random)": (78.0, 71.6),
        "attention (random)": (79.2, 74.6),
        "activation (random)": (79.1, 74.5),
    },
    "isic": {
        "occlusion": (75.8, 58.2),
        "attention": (75.1, 56.8),
        "activation": (75.2, 56.6),
        "occlusion (random)": (71.0, 60.3),
        "attention (random)": (72.1, 61.4),
        "activation (random)": (72.1, 61.1),
    },
}


def main() -> None:
    """Print both tables."""
    out, paper = Path(sys.argv[1]), sys.argv[2]
    arch, seeds, models = sys.argv[3], sys.argv[4].split(), sys.argv[5].split()
    print_retrieval(out, paper, arch, seeds, models)
    if "plain" in models:
        print_causal(out, paper, seeds)


def print_retrieval(
    out: Path, paper: str, arch: str, seeds: Sequence[str], models: Sequence[str]
) -> None:
    """Table 1; the mean over the seeds."""
    print(f"Table 1. Retrieval among the test images, x 100, mean over seeds {', '.join(seeds)}")
    names = {model: f"{Path(arch).name}{NAMES[model]}" for model in models}
    width = max(map(len, names.values()))
    if paper in SETS:
        print(f"In brackets: the paper, on {SETS[paper]} with DenseNet-121")
    head = ("mAP", "mAP as x-mir", "P@1", "P@5", "mAP*", "P@1*")
    print(f"  {'':{width}} " + " ".join(f"{name:>13}" for name in head))
    for model, name in names.items():
        folders = [out / (model if model == "untrained" else f"{model}-{seed}") for seed in seeds]
        found = [read(folder / "retrieval.jsonl")[0] for folder in folders]
        as_x_mir = [read(folder / "retrieval-x-mir.jsonl")[0]["map"] for folder in folders]
        others = [record.get("excluding_same_patient") for record in found]
        theirs = RETRIEVAL.get(paper, {}).get(model, (None, None, None))
        cells = (
            cell([record["map"] for record in found]),
            cell(as_x_mir, theirs[0]),
            cell([record["p_at_1"] for record in found], theirs[1]),
            cell([record["p_at_5"] for record in found], theirs[2]),
            cell([record["map"] for record in others if record]),
            cell([record["p_at_1"] for record in others if record]),
        )
        print(f"  {name:{width}} " + " ".join(f"{each:>13}" for each in cells))
    print("  mAP as x-mir: as its released evaluator, which counts the query itself as a hit at")
    print("  the last rank. *: images of the query's own patient left out; - without patients.")


def print_causal(out: Path, paper: str, seeds: Sequence[str]) -> None:
    """Table 2 and the blind controls; the mean over the seeds' means."""
    runs = [read(out / f"plain-{seed}" / "causal.jsonl") for seed in seeds]
    queries = len({record["query"] for record in runs[0]})
    hits = len({(record["query"], record["retrieved"]) for record in runs[0]})
    print("\nTable 2. Insertion (higher is better) and deletion (lower is better), AUC x 100,")
    print(f"{hits} images retrieved by {queries} queries, mean over seeds {', '.join(seeds)}")
    methods = list(dict.fromkeys(record["method"] for record in runs[0]))
    controls = list(runs[0][0].get("insertion_control", {}))
    files = [out / f"plain-{seed}" / "localization.jsonl" for seed in seeds]
    masks = [read(file) for file in files if file.exists()]
    head = ("insertion", "deletion", *(PLACES if masks else ()))
    print(f"  {'':28} " + " ".join(f"{name:>13}" for name in head))
    for method in methods:
        of_method = [[each for each in run if each["method"] == method] for run in runs]
        places = [[each for each in run if each["method"] == method] for run in masks]
        print_row(method, of_method, None, paper, place_cells(places, ""))
    if "random-model" in controls:
        for method in methods:
            of_method = [[each for each in run if each["method"] == method] for run in runs]
            print_row(f"{method} (random)", of_method, "random-model", paper)
    for control in controls:
        if control != "random-model":
            places = place_cells(masks, control) if masks and control in PLACED else []
            print_row(BLIND[control], runs, control, paper, places)
    print("  random: maps of a randomly initialised network, scored on the trained one")
    if masks:
        scored = len({each["retrieved"] for each in masks[0]})
        area = cell([fmean(each["energy_chance"] for each in run) for run in masks])
        print(
            "  hit: the peak lies in the mask or within 15 pixels of it; energy: the positive part"
        )
        print(f"  in the mask, by chance {area}; AUROC of pixels. {scored} images with a mask.")


def place_cells(runs: Sequence[list[dict]], control: str) -> list[str]:
    """How well maps, or those of a control, lie on the masks; empty without masks."""
    if not any(runs):
        return []
    return [
        cell(
            [
                fmean(each[f"{name}_control"][control] if control else each[name] for each in run)
                for run in runs
                if run
            ]
        )
        for name in PLACES
    ]


def print_row(
    name: str,
    runs: Iterable[list[dict]],
    control: str | None,
    paper: str,
    places: Sequence[str] = (),
) -> None:
    """One line: the maps' own numbers, or those of a control."""
    theirs = CAUSAL.get(paper, {}).get(name, (None, None))
    cells = []
    for measure, number in zip(("insertion", "deletion"), theirs, strict=True):
        key = f"{measure}_control" if control else measure
        values = [[each[key][control] if control else each[key] for each in run] for run in runs]
        cells.append(cell([fmean(each) for each in values], number))
    method, _, rest = name.partition(" (")
    shown = METHODS.get(method, method) + (f" ({rest}" if rest else "")
    print(f"  {shown:28} " + " ".join(f"{each:>13}" for each in (*cells, *places)))


def cell(values: Sequence[float | None], theirs: float | None = None) -> str:
    """The mean in per cent, the paper's number beside it when there is one."""
    known = [value for value in values if value is not None]
    text = f"{100 * fmean(known):.1f}" if known else "-"
    return text if theirs is None else f"{text} ({theirs:.1f})"


def read(path: Path) -> list[dict]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
