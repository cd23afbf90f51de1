"""Train an embedding network by deep metric learning."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from torch import Tensor

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.commands.train import Train
from xmir_cli.console import Ending, Records, Skips, show
from xmir_cli.embedding.stored import StoredVectors, only, read_stored
from xmir_cli.errors import DataError, ExistsError, ItemError, ModelError
from xmir_cli.gallery.usable import keep_named
from xmir_cli.labels import parse_labels
from xmir_cli.launch import find_launch
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.weights import hash_weights
from xmir_cli.pages.history import redraw_history, write_history
from xmir_cli.pictures.exclusion import leaving_out, read_exclusion
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.items import list_items
from xmir_cli.pictures.view import resize_picture
from xmir_cli.retrieval.collection import select_numbers
from xmir_cli.store.manifest import parse_names
from xmir_cli.store.outputs import receipt, refuse_ending, refuse_input
from xmir_cli.store.runs import (
    CHECKPOINT,
    OWN,
    Run,
    check_finished,
    continue_state,
    read_run,
    write_checkpoint,
    write_state,
)
from xmir_cli.store.turns import hold
from xmir_cli.store.unfinished import state_path
from xmir_cli.store.vectors_there import ADAPTER
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
from xmir_cli.training.session import describe_run, keep_lasting, keep_readable, train_epochs
from xmir_cli.training.state import restore, take
from xmir_cli.training.targets import Targets
from xmir_cli.training.validation import can_rank, check_embeds
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
    begun = _begun(trainer, division, asked, best)
    if begun is not None:
        labels = [row.label for row in division.training]
        if stored is not None:
            console.note(stored.told(trainer.embedder.dim))
        blocks, norms = list(trainer.frozen_blocks), len(trainer.frozen_norms)
        for line in tell_plan(trainer.plan(labels), labels, blocks, show, norms):
            console.note(line)
        yield from _fit(trainer, division, asked, begun, best)
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


def _begun(trainer: Trainer, division: Division, asked: Train, best: Best) -> Run | None:
    """What is done of the run, whose state is taken up; None when all of it is."""
    run = Run(describe_run(trainer, division))
    kept = _read_kept(run, asked) if trainer.ranks.leads else None
    tensors, begun = trainer.ranks.first(kept or ({}, None))
    if begun is None or not tensors:
        return begun
    trainer.prepare(Targets([row.label for row in division.training]).count)
    restore(trainer.parts, trainer.optimizer, tensors, str(state_path(asked.output)))
    best.read_state(tensors)
    part = f" and {len(begun.begun)} batches" if begun.begun else ""
    done = f"{len(begun.epochs)} of {run.wanted} epochs{part}"
    console.note(f"continuing: {done} are done")
    return begun


def _check_alike(run: Run, ranks: Ranks) -> None:
    """Raise DataError where the ranks were asked different things, or see other files."""
    for other in ranks.merge([run]):
        if changed := run.differences(other) or (run.wanted != other.wanted and ["epochs"]):
            raise DataError(f"the ranks have different {', '.join(changed)}")


def _read_kept(run: Run, asked: Train) -> tuple[dict[str, Tensor], Run | None]:
    """The tensors of a run that is continued, and what is done of it: None when all of it is.

    That is also a run that was made or left since this one was asked.
    """
    output, state = asked.output, state_path(asked.output)
    if asked.force and not asked.resume:
        return {}, run
    if state.exists():
        return continue_state(state, run)
    if output.exists():
        try:
            check_finished(output, run)
        except (ExistsError, ModelError):
            if asked.resume:
                raise
            console.note(f"{output}: another run has made it meanwhile; it is replaced")
            return {}, run
        console.note(f"{output}: finished already")
        return {}, None
    if asked.resume:
        console.note(f"{state}: not there, so nothing is continued")
    return {}, run


def _warn_of_ties(record: Record) -> None:
    tied = record.get("tied_pairs")
    if isinstance(tied, float):
        console.warning(
            f"epoch {record['epoch']}: {tied:.1%} of the pairs of a relevant validation image and "
            "another are equally similar to the query; the network hardly tells images apart"
        )


def _fit(
    trainer: Trainer, division: Division, asked: Train, run: Run, best: Best
) -> Iterator[Record]:
    """Train what is left of the run; its state is on the disk before its record is printed.

    Of several ranks the first one writes and prints, and knows when the run gives up.
    """
    ranks, patience = trainer.ranks, trainer.settings.patience
    if ranks.leads and run.epochs:
        redraw_history(asked.plot, run)
    try:
        epochs = train_epochs(trainer, division, len(run.epochs), run.begun, console.progress)
        for record in () if run.is_over else epochs:
            run = Run(run.asked, (*run.epochs, keep_lasting(record)))
            if ranks.leads:
                _keep_epoch(trainer, asked, run, best)
                _warn_of_ties(record)
                yield record
            if patience is not None and ranks.first(run.gave_up):
                break
    except KeyboardInterrupt:
        if ranks.leads:
            _keep_begun(trainer, asked, run, best)
        raise
    if ranks.leads:
        _finish(trainer, division, asked.output, run, best)


def _keep_epoch(trainer: Trainer, asked: Train, run: Run, best: Best) -> None:
    """Keep what the epoch that just ended has made of the network, and draw what it gave."""
    if run.keeps_best and run.kept == len(run.epochs):
        best.copy(trainer.network)
    _write_state(trainer, asked, run, best)
    redraw_history(asked.plot, run)
    if trainer.draws and len(run.epochs) == 1:
        console.note("the network drops parts at random: other ranks give other numbers")


def _finish(trainer: Trainer, division: Division, output: Path, run: Run, best: Best) -> None:
    """Write the checkpoint in the place of the state."""
    if run.keeps_best:
        best.put_back(trainer.network)
        patience = trainer.settings.patience
        end = f" after {patience} without a better one" if run.gave_up else ""
        console.note(f"kept: epoch {run.kept} of the {len(run.epochs)} that were trained{end}")
    check_embeds(trainer.feed, division.training)
    whole = trainer.feed.whole()
    spec = replace(whole.spec, weights=OWN, weights_sha256=hash_weights(whole.network))
    head = {} if whole.head is None else {ADAPTER: whole.head}
    write_checkpoint(output, {**whole.network.state_dict(), **head}, spec, run)
    state_path(output).unlink(missing_ok=True)


def _write_state(trainer: Trainer, asked: Train, run: Run, best: Best) -> None:
    tensors = {**take(trainer.parts, trainer.optimizer), **best.as_state()}
    write_state(state_path(asked.output), tensors, run)


def _keep_begun(trainer: Trainer, asked: Train, run: Run, best: Best) -> None:
    """Keep the batches of an epoch that was interrupted, unless the last one is half done."""
    if trainer.number == len(run.epochs) + 1 and trainer.steps and not trainer.torn:
        run = replace(run, begun=tuple(trainer.steps))
        _write_state(trainer, asked, run, best)
    if run.epochs or run.begun:  # else the state that may be there is another run's
        state = state_path(asked.output)
        console.note(f"interrupted; what is done is kept in {state}: continue with --resume")
