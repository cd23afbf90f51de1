"""`xmir diff-saliency`: which regions tell one class from another?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, UsageError
from xmir_cli.printer import Printer
from xmir_cli.saliency import load_methods
from xmir_cli.settings import method_settings
from xmir_cli.store.atomic import refuse_existing

if TYPE_CHECKING:
    from xmir_cli.classes.averages import Labelled
    from xmir_cli.pictures.items import Item
    from xmir_cli.saliency.sample import Method

COLUMNS = ["class_a", "class_b", "n_a", "n_b", "overlay"]


@method_settings
def command(
    images: options.Images,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LABEL,LABEL...",
            help="Which labels, in this order; each is compared with those after it. "
            "[default: all there are]",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="Of the self-similarity maps.")
    ] = "activation",
    normalize: Annotated[
        Literal["l1", "none", "max"],
        typer.Option(
            "--normalize",
            help="Before averaging: l1 gives every map the mean 1 (where, not how strongly), max "
            "the largest value 1. Differences of the bare maps are always written as well.",
        ),
    ] = "l1",
    permutations: Annotated[
        int,
        typer.Option(
            "--permutations",
            min=0,
            help="Test each difference against this many permutations of the labels, corrected "
            "over the whole map; 0 does not. 1000 is usual. Lines enclose p < 0.05.",
        ),
    ] = 0,
    where: options.Where = None,
    null: options.NullSeparated = False,
    model: options.Model = None,
    architecture: options.Architecture = None,
    weights: options.Weights = None,
    head: options.Head = None,
    input_size: options.InputSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
    output: options.OutputFolder = Path("diff-saliency"),
    force: options.Force = False,
    alpha: options.Alpha = 0.6,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch: options.Batch = 16,
    jobs: options.Jobs = None,
    layout: options.Format = None,
    *,
    settings: Mapping[str, str],
) -> int:
    """Map the regions whose saliency differs between classes.

    Averages the self-similarity maps of every class, takes the signed differences of the averages
    and draws all of them, beside the average image of every class, in figure.png. One record a pair
    of classes. Needs a manifest with a 'label' column.
    """
    from xmir_cli.pictures.items import list_items

    items = _labelled(list_items(images, null, where, "diff-saliency"), classes)
    refuse_existing(output / "figure.png", force)
    from xmir_cli.classes.averages import Averaging, average_classes
    from xmir_cli.classes.differences import (
        Averages,
        write_classes,
        write_differences,
        write_figure,
    )
    from xmir_cli.model.loader import load_embedder, make_spec

    name, chosen = _only_method(method, settings)
    spec = make_spec(model, architecture, weights, head, input_size, mean, std)
    embedder = load_embedder(spec, device, precision)
    embedder.batch = batch
    output.mkdir(parents=True, exist_ok=True)
    skips = console.Skips()
    how = Averaging(embedder, chosen, _both(normalize), normalize if permutations else None, jobs)
    with console.progress("explaining", len(items)) as bar:
        found = average_classes(items, how, skips, bar.advance)
    if permutations and min(each.count for each in found.values()) < 2:
        raise DataError("--permutations: expected two images or more of every class")
    averages = Averages(found, normalize, alpha, permutations)
    write_classes(averages, output)
    records = write_differences(averages, output)
    figure = write_figure(averages, output, f"{name}, normalised {normalize}")
    common = {
        "method": name,
        "settings": {**vars(chosen), "normalize": normalize},
        "figure": str(figure),
        "model": embedder.spec.to_json(),
    }
    with Printer(layout or "", COLUMNS, "overlay") as printer:
        for record in records:
            printer.write({**record, **common})
    return skips.finish(sum(each.count for each in found.values()), "averaged")


def _both(normalize: str) -> list[str]:
    return list(dict.fromkeys([normalize, "none"]))


def _only_method(names: str, settings: Mapping[str, str]) -> "tuple[str, Method]":
    methods = load_methods(names, settings)
    if len(methods) > 1:
        raise UsageError(f"--method: expected one method, found {names}")
    return next(iter(methods.items()))


def _labelled(items: "Sequence[Item]", classes: str | None) -> "list[Labelled]":
    """The items of the classes asked for, class after class in that order."""
    from xmir_cli.classes.averages import Labelled

    by_label: dict[str, list[Labelled]] = {}
    for item in items:
        label = item.columns.get("label")
        if label:
            by_label.setdefault(label, []).append(Labelled(item.path, label))
    if not by_label:
        raise DataError(
            "no image has a label", "Name a CSV, TSV or Parquet manifest with a 'label' column."
        )
    there = ", ".join(sorted(by_label))
    wanted = list(dict.fromkeys(classes.split(","))) if classes else sorted(by_label)
    for label in wanted:
        if label not in by_label:
            raise UsageError(f"--classes: no image has the label {label}; there are {there}")
    if len(wanted) < 2:
        raise UsageError(f"--classes: expected two or more, found {wanted[0]}", f"There: {there}.")
    return [item for label in wanted for item in by_label[label]]
