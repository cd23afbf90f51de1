"""Train an embedding network by deep metric learning."""

from dataclasses import replace
from itertools import chain

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.commands.train import Train
from xmir_cli.console import Ending, Records, Skips, show
from xmir_cli.embedding.stored import StoredVectors, only, read_stored
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.usable import keep_named
from xmir_cli.kept_training import begin, fit
from xmir_cli.labels import parse_labels
from xmir_cli.launch import find_launch
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pages.history import write_history
from xmir_cli.pictures.exclusion import leaving_out, read_exclusion
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.items import list_items
from xmir_cli.pictures.view import resize_picture
from xmir_cli.retrieval.collection import select_numbers
from xmir_cli.store.manifest import parse_names
from xmir_cli.store.outputs import receipt, refuse_ending, refuse_input
from xmir_cli.store.runs import CHECKPOINT, Run, read_run
from xmir_cli.store.turns import hold
from xmir_cli.store.unfinished import state_path
from xmir_cli.store.where import parse_where
from xmir_cli.training.best import Best
from xmir_cli.training.examples import (
    TEST,
    TRAIN,
    Division,
    divide,
    keep_labelled,
    leave_classes_out,
    role_of,
)
from xmir_cli.training.feed import Feed
from xmir_cli.training.head_recipe import HEAD_DIM
from xmir_cli.training.loop import Trainer
from xmir_cli.training.meeting import meeting, rank_device
from xmir_cli.training.pictures import Pictures
from xmir_cli.training.plan import tell_plan
from xmir_cli.training.ranks import Ranks
from xmir_cli.training.recipe import Settings
from xmir_cli.training.sampler import check_classes
from xmir_cli.training.session import describe_run, keep_readable
from xmir_cli.training.validation import can_rank
from xmir_cli.training.vectors import VectorFeed, first_weights
from xmir_cli.wire.records import Record

__all__ = ["Train", "run"]


def run(asked: Train) -> Records:
    """One `xmir.epoch/1` record an epoch that is trained, then the receipt of the checkpoint.

    Of several ranks that torchrun started the first one gives the records and writes the files.
    """
    launch = find_launch()
    asked = replace(asked, device=rank_device(asked.device, launch))
    with meeting(launch, asked.device) as ranks, console.hushed(not ranks.leads):
        if not ranks.leads:
            return _follow(_run(asked, ranks))
        with hold(asked.output):
            return (yield from _run(asked, ranks))


def _follow(records: Records) -> Ending:
    """Take part without a word: torchrun would end the others for an exit code above 0."""
    for _ in records:
        pass
    return Ending()


def _run(asked: Train, ranks: Ranks) -> Records:
    settings, skips = asked.recipe, Skips()
    stored = _read_stored(asked)
    division = _divide(asked, settings, skips, stored)
    feed = _feed_images(asked) if stored is None else _feed_vectors(asked, stored, division)
    trainer = Trainer(feed, settings, ranks)
    trainer.check_parts(division.training)
    _check_alike(Run(describe_run(trainer, division)), ranks)
    division = keep_readable(division, trainer.feed, skips.add, console.progress, ranks)
    division = _without_rare(division, settings, skips)
    _check_choice(division, settings)
    best = Best()
    begun = begin(trainer, division, asked, best)
    if begun is not None:
        labels = [row.label for row in division.training]
        if stored is not None:
            console.note(stored.told(trainer.embedder.dim))
        blocks, norms = list(trainer.frozen_blocks), len(trainer.frozen_norms)
        for line in tell_plan(trainer.plan(labels), labels, blocks, show, norms):
            console.note(line)
        yield from fit(trainer, division, asked, begun, best)
    if not ranks.leads:
        return Ending()
    done = read_run(asked.output, CHECKPOINT)
    if asked.plot is not None:
        write_history(asked.plot, done)
    shape = (len(division.training), trainer.embedder.dim)
    made = receipt("checkpoint", asked.output.absolute(), shape, skips.total)
    yield {**made, **_tell_made(trainer, division, done)}
    return skips.finish(len(division.training), "trained on")


def _tell_made(trainer: Trainer, division: Division, done: Run) -> Record:
    """What a receipt tells of the run beside its file."""
    frozen = {"frozen": list(trainer.frozen)} if trainer.frozen else {}
    steps = trainer.plan([row.label for row in division.training]).until(len(done.epochs))
    return {"kept_epoch": done.kept, "steps": steps, **frozen}


def _read_stored(asked: Train) -> StoredVectors | None:
    """The vectors to train a head on; None where images are given."""
    if asked.stored is None:
        return None
    stored = read_stored(asked.stored, asked.base, asked.device)
    if asked.exclude is not None:
        stored = only(stored, keep_named(stored.items, read_exclusion(asked.exclude)))
    if where := parse_where(asked.where):
        return only(stored, select_numbers(stored.items, where))
    return stored


def _list(
    asked: Train, stored: StoredVectors | None
) -> list[tuple[str, str, dict[str, str | None]]]:
    """Every row: its name, where it is, and its label, patient and split."""
    if stored is not None:
        return stored.rows(parse_names(asked.columns))
    leave_out = leaving_out(asked.exclude, asked.jobs)
    items = list_items(asked.images, asked.null, asked.where, asked.columns, leave_out)
    for setting, file in (("output", asked.output), ("output", state_path(asked.output))):
        refuse_input(file, [item.file for item in items], setting)
    refuse_input(asked.plot, [item.file for item in items], "plot")
    known = [{name: item.text(name) for name in ("label", "patient", "split")} for item in items]
    return [(item.id, item.path, told) for item, told in zip(items, known, strict=True)]


def _divide(
    asked: Train, settings: Settings, skips: Skips, stored: StoredVectors | None
) -> Division:
    """The rows to train and to validate on; nobody has opened a picture yet."""
    listed = _list(asked, stored)
    refuse_ending(asked.output, "safetensors", [".safetensors", ".pt", ".pth", ".ckpt"])
    rows = keep_labelled(listed, skips.add)
    division = divide(rows, asked.split, asked.validate)
    division = _without_rare(division, settings, skips)
    _say_splits(division, asked)
    _check_choice(division, settings)
    if division.validated_on is None:
        console.note("no split to validate on: no mAP, P@1, P@5")
    elif settings.keep == "best" and role_of(division.validated_on) == TEST:
        console.warning(
            f"the epoch is chosen by the split {division.validated_on}, whose numbers are then "
            "better than those of new images: give some training rows a split val"
        )
    elif asked.validate is None and division.validated_on == "test":
        console.note("validating on the split test; no epoch is chosen by it, the last is kept")
    if division.shared_patients:
        console.warning(
            f"{division.shared_patients} patients have images in both splits: "
            "the validation looks better than it is"
        )
    return division


def _check_choice(division: Division, settings: Settings) -> None:
    """Raise DataError where no epoch can be the best one."""
    if settings.keep != "best":
        return
    if division.validated_on is None:
        raise DataError(
            "there is no split to validate on, by which `keep` best chooses",
            "Give some rows the split val or name a split with `validate`, or keep the last epoch.",
        )
    if not can_rank(division.validation):
        raise DataError(
            "no validation image has a match of another patient, by which `keep` best chooses",
            "Name a split with `validate`, or keep the last epoch.",
        )


def _say_splits(division: Division, asked: Train) -> None:
    """Say which splits are used when they are called otherwise."""
    wanted = (asked.split or TRAIN, asked.validate or division.validated_on)
    for verb, name, found in zip(("training", "validating"), wanted, division.splits, strict=True):
        if division.validated_on is not None and found and found != [name]:
            console.note(f"{verb} on the split {' and '.join(found)}")
    combined = sum(len(parse_labels(row.label)) > 1 for row in division.training)
    if combined:
        console.note(f"{combined} images have several labels: a pair is positive if it shares one")


def _without_rare(division: Division, settings: Settings, skips: Skips) -> Division:
    """Without the images of which no class can fill its part of a batch; these are named."""
    labels = [row.label for row in division.training]
    rare = check_classes(labels, settings.per_class, settings.classes_per_batch)
    left = leave_classes_out(division, rare)
    gone = [row for row in chain(*division.sides) if parse_labels(row.label) <= rare.keys()]
    for name, size in rare.items():
        few = f"class {show(name)} has {size} images, a batch takes {settings.per_class} of each"
        of_it = [row for row in gone if min(parse_labels(row.label)) == name]
        kept = any(name in parse_labels(row.label) for row in left.training)
        if of_it:
            console.warning(f"{few}: {'those of no other are ' if kept else ''}left out")
        for row in of_it:
            skips.add(row.name, ItemError(Cause.RARE_CLASS, few))
    return left


def _feed_images(asked: Train) -> Feed:
    spec = resolve_model(asked.choice)
    embedder = load_embedder(spec, asked.device, asked.precision)
    recipe = spec.preprocessing
    pictures = Pictures(lambda path: resize_picture(read_picture(path, recipe.window), recipe))
    return Feed(embedder, pictures, asked.jobs)


def _feed_vectors(asked: Train, stored: StoredVectors, division: Division) -> VectorFeed:
    """The vectors, and a head whose first weights follow from those to train on."""
    dim = asked.head or min(HEAD_DIM, stored.base.dim)
    first = first_weights(stored.vectors[[int(row.path) for row in division.training]], dim)
    return VectorFeed(stored.base, stored.vectors, first)


def _check_alike(run: Run, ranks: Ranks) -> None:
    """Raise DataError where the ranks were asked different things, or see other files."""
    for other in ranks.merge([run]):
        if changed := run.differences(other) or (run.wanted != other.wanted and ["epochs"]):
            raise DataError(f"the ranks have different {', '.join(changed)}")
