"""Check whether retrieval goes by a shortcut: by what is left when parts of images are hidden."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from xmir_cli import console
from xmir_cli.arrays import Booleans
from xmir_cli.commands.shortcut import Shortcut
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError, SettingError
from xmir_cli.labels import LABEL, parse_labels
from xmir_cli.metrics.shortcut import Draws, number_units
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.items import Item, list_items
from xmir_cli.render.shortcut import draw_shortcut
from xmir_cli.retrieval.conditions import check_column
from xmir_cli.saliency import load_methods
from xmir_cli.scoring.baseline import Baseline
from xmir_cli.scoring.image_set import hash_names
from xmir_cli.scoring.shortcut.areas import (
    HiddenParts,
    draw_elsewhere,
    draw_part,
    refuse_extremes,
)
from xmir_cli.scoring.shortcut.effects import (
    first_hits,
    in_suspect,
    score,
    without_object,
    without_suspect,
)
from xmir_cli.scoring.shortcut.images import (
    HiddenImages,
    ImageReader,
    SuspectArea,
    cover_masks,
    draw_donors,
    embed_hidden,
    measure_shares,
)
from xmir_cli.scoring.shortcut.names import parse_shape
from xmir_cli.scoring.shortcut.queries import (
    Values,
    query_records,
    retrieval_by_query,
    saliency_by_query,
)
from xmir_cli.scoring.shortcut.verdict import RULES, explain, judge
from xmir_cli.scoring.tested import Checks, read_baseline
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.outputs import refuse_input
from xmir_cli.store.where import parse_where
from xmir_cli.truth.marks import Truth
from xmir_cli.truth.sources import open_marks
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.shortcut import ShortcutRecord

__all__ = ["Shortcut", "run"]

_PATIENT = "patient"
_METHOD = "activation"


def run(asked: Shortcut) -> Records:
    """One `xmir.shortcut/1` record a test, once all are done."""
    skips, earlier = Skips(), read_baseline(asked.baseline, RULES)
    items = _labelled(asked)
    embedder = load_embedder(
        resolve_model(asked.choice), asked.device, asked.precision, asked.batch
    )
    reader = ImageReader(embedder, asked.exclude_same, asked.jobs, skips)
    items, parts = _find_parts(asked, reader, items)
    with console.progress("embedding", len(items)) as bar:
        images = embed_hidden(reader, items, parts.hidings, asked.fill, bar.advance)
    _refuse_alike(images)
    about = {
        "where": list(map(str, parse_where(asked.where))) or None,
        "exclude_same": asked.exclude_same if any(images.groups) else None,
        "images_sha256": hash_names(images.identities),
        "images": len(images.items),
        "labels": _count(images.items),
    }
    made = {"draws": asked.draws, "seed": asked.seed, "model": embedder.spec.to_json()}
    tried = [_try(asked, name, reader, images, parts) for name in asked.tests]
    found = judge([{**each, **about} for each, _ in tried], asked.level, asked.effect)
    judged = [{**each, **made} for each in found]
    plot = {"plot": str(asked.plot)} if asked.plot else {}
    for record, (_, values) in zip(judged, tried, strict=True):
        listed = query_records(images, record, values()) if asked.per_query else [record]
        for each in listed:
            yield {"schema": ShortcutRecord.NAME, **each, **made, **plot}
    if asked.plot is not None:
        drawing = draw_shortcut(judged, {"object": parts.object, "suspect": parts.suspect})
        with atomic_file(asked.plot) as file:
            file.write(drawing.encode(asked.plot.suffix.lower()))
    return _end(asked, images, skips, judged, earlier)


def _labelled(asked: Shortcut) -> list[Item]:
    """The items with a label; raises DataError where none has one."""
    if asked.exclude_same == LABEL:
        raise SettingError("exclude_same", "images that share a label are what is to be found")
    items = list_items(asked.images, asked.null, asked.where, asked.columns)
    names = list(dict.fromkeys(name for item in items for name in item.columns))
    if asked.exclude_same != _PATIENT:
        check_column(names, asked.exclude_same, "exclude_same")
    files = [item.file for item in items]
    refuse_input(asked.junit, files, "junit")
    refuse_input(asked.plot, files, "plot")
    kept = [item for item in items if parse_labels(item.text(LABEL))]
    if not kept:
        raise DataError(
            "no image has a label", "Name a CSV, TSV or Parquet manifest with a 'label' column."
        )
    if len(kept) < len(items):
        console.note(f"{len(items) - len(kept)} of {len(items)} images have no label: left out")
    return kept


def _find_parts(
    asked: Shortcut, reader: ImageReader, items: list[Item]
) -> tuple[list[Item], HiddenParts]:
    """What is hidden; and the images, without those whose masks cannot be used."""
    size = reader.embedder.size
    named = {"suspect": asked.suspect, "object_part": asked.object_part}
    areas: dict[str, Booleans] = {}
    truths: dict[str, Truth] = {}
    for setting, text in named.items():
        shape = parse_shape(text, setting) if text else None
        if shape is not None:
            areas[setting] = draw_part(shape, size)
        elif text:
            truths[setting] = open_marks(text)
    if truths:
        items, covered = cover_masks(reader, items, list(truths.values()))
        areas |= dict(zip(truths, covered, strict=True))
    refuse_extremes(areas["suspect"], "suspect", 0.5, "there is not as much elsewhere")
    hidden = areas.get("object_part", ~areas["suspect"])
    refuse_extremes(hidden, "object_part", 1 - 1 / hidden.size, "nothing is left")
    name = asked.object_part or f"all but {asked.suspect}"
    elsewhere = draw_elsewhere(areas["suspect"], asked.elsewhere, asked.seed)
    return items, HiddenParts(asked.suspect, areas["suspect"], name, hidden, elsewhere)


def _refuse_alike(images: HiddenImages) -> None:
    """Raise DataError where chance and finding cannot be told apart."""
    labels = {parse_labels(item.text(LABEL)) for item in images.items}
    if len(labels) < 2:
        raise DataError(f"all {len(images.items)} images have one label: any ranking finds it")
    whole = images.under(0)
    if len(set(number_units(whole.groups))) < 2 or not score(whole).scored.any():
        raise DataError("no image has another of its label to find, of another patient")
    if not any(images.groups):
        console.note("no patient is known: the permutations take images for independent")


def _try(
    asked: Shortcut, name: str, reader: ImageReader, images: HiddenImages, parts: HiddenParts
) -> tuple[Record, Callable[[], Values]]:
    """What a test finds, and what of each image."""
    whole, suspect = images.under(0), parts.suspect
    draws = Draws(asked.draws, asked.seed)
    hides = {"fill": asked.fill}
    if name == "object":
        told = {"test": name, "part": parts.object_name, "area": float(parts.object.mean())}
        found = {**told, **hides, **without_object(whole, images.under(1), draws)}
        return found, lambda: retrieval_by_query(whole, images.under(1))
    told = {"test": name, "part": parts.suspect_name, "area": float(suspect.mean())}
    if name == "suspect":
        others = [images.under(3 + number) for number in range(len(parts.elsewhere))]
        found = without_suspect(whole, images.under(2), others, draws)
        by_query = partial(retrieval_by_query, whole, images.under(2))
        return {**told, **hides, **found}, by_query
    ((method_name, method),) = load_methods(_METHOD, {}).items()
    hits = first_hits(whole)
    donors = draw_donors(whole.groups, asked.seed)
    pairs = list(zip(hits.tolist(), donors.tolist(), strict=True))
    where = SuspectArea(method, suspect)
    with console.progress("explaining", len(images.items)) as bar:
        shares = measure_shares(reader, images, pairs, where, bar.advance)
    how = {"method": method_name, "settings": vars(method)}
    by_query = partial(saliency_by_query, whole, shares, hits)
    return {**told, **how, **in_suspect(whole, shares, hits, draws)}, by_query


def _count(items: Sequence[Item]) -> Record:
    """How many items have each label."""
    return dict(
        sorted(Counter(each for item in items for each in parse_labels(item.text(LABEL))).items())
    )


def _end(
    asked: Shortcut,
    images: HiddenImages,
    skips: Skips,
    found: Sequence[Record],
    earlier: Baseline | None,
) -> Ending:
    """How it ends: alarms are told, and fail the run if they are to."""
    ending = skips.finish(len(images.items), "embedded")
    checks = Checks(RULES, found)
    checks.take_lost(skips.reasons)
    checks.take_verdicts(failing=asked.gate)
    checks.ask(asked.gates)
    checks.compare(earlier, asked.tolerance)
    checks.write(asked.junit)
    alarms = [f"{each['test']}: {explain(each)}" for each in found if explain(each)]
    if not asked.gate:
        ending = replace(ending, warnings=(*ending.warnings, *alarms))
    return ending.judged(checks.unmet)
