"""Map the regions whose saliency differs between classes."""

from collections.abc import Sequence

from xmir_cli import console
from xmir_cli.classes.averages import Averaging, LabelledImage, average_classes
from xmir_cli.classes.differences import Averages, write_classes, write_differences
from xmir_cli.classes.figure import write_figure
from xmir_cli.commands.diff_saliency import DiffSaliency
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, SettingError
from xmir_cli.explain.fit import warn_of_unfit
from xmir_cli.gallery.engines import make_absolute, open_gallery
from xmir_cli.guesses import near_hint
from xmir_cli.labels import parse_labels
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.identity import file_of
from xmir_cli.pictures.items import Item, list_items
from xmir_cli.saliency import load_methods
from xmir_cli.saliency.centering import Centered, GalleryMean, read_mean
from xmir_cli.store.outputs import refuse_input
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

__all__ = ["DiffSaliency", "run"]


def run(asked: DiffSaliency) -> Records:
    """One `xmir.difference/1` record a pair of classes, once the figure is drawn."""
    skips = Skips()
    ((name, method),) = load_methods(asked.method, asked.settings).items()
    items = _labelled(
        list_items(asked.images, asked.null, asked.where, asked.columns), asked.classes
    )
    images = [file_of(item.path) for item in items]
    refuse_input(asked.figure, images, "output")
    for pattern in ("average-*.png", "mean-*.png", "*-minus-*.png"):
        for drawn in asked.output.glob(pattern):
            refuse_input(drawn, images, "output")
    spec = resolve_model(asked.choice)
    embedder = load_embedder(spec, asked.device, asked.precision, asked.batch)
    warn_of_unfit([name], embedder)
    index, mean = _read_mean(asked.index, embedder.spec)
    asked.output.mkdir(parents=True, exist_ok=True)
    normalizations = list(dict.fromkeys([asked.normalize, "none"]))
    tested = asked.normalize if asked.permutations else None
    centered = method if mean is None else Centered(method, mean)
    how = Averaging(embedder, centered, normalizations, tested, asked.jobs)
    with console.progress("explaining", len(items)) as bar:
        found = average_classes(items, how, skips, bar.advance)
    averages = Averages(found, asked.normalize, asked.alpha, asked.permutations)
    if asked.permutations and min(map(averages.units, found)) < 2:
        unit = "patients" if averages.knows_patients else "images"
        raise DataError(f"`permutations`: expected two {unit} or more of every class")
    if asked.permutations and not averages.knows_patients:
        console.note("no patient is known: the permutations take images for independent")
    if not all(each.in_turn for each in found.values()):
        console.note(
            "patients that DICOM tags alone tell are not together in the list: the standard "
            "errors count some of their images for independent; sort them, or name a manifest"
        )
    write_classes(averages, asked.output)
    records = write_differences(averages, asked.output)
    write_figure(averages, asked.figure, name)
    for record in records:
        yield {
            **record,
            "method": name,
            "settings": {**vars(method), **_center(mean), "normalize": asked.normalize},
            **index,
            "figure": str(asked.figure),
            "model": embedder.spec.to_json(),
        }
    return skips.finish(sum(each.count for each in found.values()), "averaged")


def _read_mean(index: str | None, spec: ModelSpec) -> tuple[Record, GalleryMean | None]:
    """What a record says of the index, and the mean that is taken off; nothing without one."""
    if index is None:
        return {}, None
    gallery = open_gallery(make_absolute(index))
    if not gallery.model.same_embedding(spec):
        raise SettingError("index", "another network made its embeddings", value=index)
    return {"index": gallery.name}, read_mean(gallery.mean)


def _center(mean: GalleryMean | None) -> Record:
    return {} if mean is None else {"center": mean.sha256}


def _labelled(items: Sequence[Item], classes: str | None) -> list[LabelledImage]:
    """The items of the classes asked for, class after class in that order, patient by patient.

    One of several labels is of each of them.
    """
    by_label: dict[str, list[LabelledImage]] = {}
    for item in items:
        patient = item.text("patient")
        for label in sorted(parse_labels(item.text("label"))):
            by_label.setdefault(label, []).append(LabelledImage(item.path, label, patient))
    if not by_label:
        raise DataError(
            "no image has a label", "Name a CSV, TSV or Parquet manifest with a 'label' column."
        )
    there = ", ".join(sorted(by_label))
    wanted = list(dict.fromkeys(classes.split(","))) if classes else sorted(by_label)
    for label in wanted:
        if label not in by_label:
            raise SettingError(
                "classes",
                f"no image has the label {label}; there are {there}",
                near_hint(label, by_label),
            )
    if len(wanted) < 2:
        raise SettingError(
            "classes", f"expected two or more, found {wanted[0]}", f"There: {there}."
        )
    return [item for label in wanted for item in _by_patient(by_label[label])]


def _by_patient(items: Sequence[LabelledImage]) -> list[LabelledImage]:
    """The items, those of one patient together; otherwise in their order."""
    places: dict[str | None, int] = {}
    for item in items:
        places.setdefault(item.patient, len(places))
    return sorted(items, key=lambda item: places[item.patient])
