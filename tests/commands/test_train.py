"""`xmir train` through the front door, on small striped pictures."""

import csv
import json
import re
import signal
import threading
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from xmir_cli import console, main
from xmir_cli.commands.train import Train
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.store.checkpoint import read_tensors, read_tensors_header
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.turns import hold
from xmir_cli.store.unfinished import state_path
from xmir_cli.training import feed
from xmir_cli.training.loop import Trainer

SVG = "{http://www.w3.org/2000/svg}"
KEYS = [
    *("schema", "epoch", "steps", "loss", "violating_fraction", "map", "p_at_1", "p_at_5"),
    *("seconds", "images_per_second"),
]


def write_pictures(folder: Path, counts: dict[tuple[str, str], int]) -> None:
    """Lying and standing stripes under noise; `counts` says how many of each label and split."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(40) * 1.3) * 12
    rows = []
    for (label, split), count in counts.items():
        for place in range(count):
            field = wave[:, None] if label == "lying" else wave[None, :]
            values = 128 + field + rng.normal(0, 30, size=(40, 40))
            name = f"{label}-{split}-{place}.png"
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(folder / name)
            rows.append([name, label, split, f"p-{name}"])
    write_table(folder / "labels.csv", rows)


def write_table(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "patient"], *rows])


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pictures(
        tmp_path,
        {(label, split): n for label in ("lying", "standing") for split, n in SIZES.items()},
    )
    return tmp_path / "labels.csv"


PLAN = re.compile(r"(?m)^(?:xmir: note: )?(?:training on \d|\d+ epochs? of|frozen: ).*\n?")


def beside_plan(stderr: str) -> str:
    """What was said beside what the run will do."""
    return PLAN.sub("", stderr)


SIZES = {"train": 8, "val": 6, "test": 5}


@pytest.fixture
def train(xmir, tiny_arch, data):
    def run(*arguments, source=data, output="out.safetensors", epochs=2):
        return xmir(
            *("train", source, "--arch", tiny_arch, "--weights", "random:0", "--per-class", 4),
            *("--learning-rate", "5e-3", "-o", output, "--device", "cpu"),
            *("--sampler", "smallest", "--schedule", "constant", "--no-shift"),
            *([] if epochs is None else ["--epochs", epochs]),
            *arguments,
        )  # fmt: skip

    return run


def texts(svg: Path) -> list[str]:
    """The words of a figure."""
    return [str(each.text) for each in ElementTree.parse(svg).iter(f"{SVG}text")]  # noqa: S314 # our own


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C in the middle of `epoch`."""
    whole = Trainer.epoch

    def cut(self, number, examples, advance, begun):
        if number == epoch:
            raise KeyboardInterrupt
        return whole(self, number, examples, advance, begun)

    monkeypatch.setattr(Trainer, "epoch", cut)


def ask_to_end(monkeypatch: pytest.MonkeyPatch, step: int, times: int = 1) -> None:
    """Ctrl-C in the middle of a step, counted from 1 over all epochs."""
    from xmir_cli.training.loop import Trainer

    whole, seen = Trainer.step, iter(range(1, 99))

    def cut(self, *arguments):
        if next(seen) == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return whole(self, *arguments)

    monkeypatch.setattr(Trainer, "step", cut)


def test_training_prints_a_record_an_epoch_and_a_receipt(train, data):
    result = train("--head", 8, epochs=6)
    assert result.code == 0
    assert result.stderr == (
        "xmir: note: training on 16 images of 2 classes: lying 8, standing 8\n"
        "xmir: note: 6 epochs of 2 steps, 12 steps in all, each on 2 classes x 4 images; an epoch "
        "ends when lying runs out: it uses 16 of the 16 images\n"
        "xmir: note: frozen: nothing; kept: the weights of the last epoch\n"
    )
    *epochs, receipt = result.records()
    assert [list(epoch) for epoch in epochs] == [KEYS] * 6
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert [epoch["steps"] for epoch in epochs] == [2, 4, 6, 8, 10, 12]
    assert {epoch["schema"] for epoch in epochs} == {"xmir.epoch/1"}
    assert epochs[-1]["map"] > epochs[0]["map"]
    output = data.parent / "out.safetensors"
    assert receipt == {
        "schema": "xmir.artifact/1",
        "kind": "checkpoint",
        "path": str(output),
        "rows": 16,
        "dim": 8,
        "skipped": 0,
        "sha256": sha256_file(output),
        "kept_epoch": 6,
        "steps": 12,
    }
    assert not list(data.parent.glob("*.state.*"))


def test_steps_end_a_run_in_whichever_epoch(train, data):
    result = train("--steps", 5, epochs=None)
    assert "3 epochs of 2 steps, the last one of 1, 5 steps in all" in result.stderr
    *epochs, receipt = result.records()
    assert [epoch["steps"] for epoch in epochs] == [2, 4, 5]
    assert (receipt["steps"], receipt["kept_epoch"]) == (5, 3)
    output = data.parent / "out.safetensors"
    asked = json.loads(read_tensors_header(output)["__metadata__"]["xmir.training"])["asked"]
    assert (asked["steps"], asked["epochs"]) == (5, 3)
    assert "trained with other steps" in train("--steps", 7, "--resume", epochs=None).stderr
    train("--steps", 4, output="short.safetensors", epochs=None)
    train(output="whole.safetensors")
    short, whole = (
        read_tensors(data.parent / f"{name}.safetensors")[0] for name in ("short", "whole")
    )
    assert all(torch.equal(short[name], whole[name]) for name in whole)  # as many steps either way


def test_a_run_of_some_steps_goes_on_where_it_was_interrupted(train, data, monkeypatch):
    flags = ("--schedule", "cosine", "--steps", 5)
    train(*flags, epochs=None)
    output = data.parent / "out.safetensors"
    expected = output.read_bytes()
    output.unlink()
    with monkeypatch.context() as patch:
        ask_to_end(patch, step=3)
        with pytest.raises(main._InterruptedError):
            train(*flags, epochs=None)
    result = train(*flags, "--resume", epochs=None)
    said = "xmir: note: continuing: 1 of 3 epochs and 1 batches are done\n"
    assert beside_plan(result.stderr) == said
    assert output.read_bytes() == expected


def test_a_run_has_epochs_or_steps(train):
    result = train("--steps", 5)
    assert result.code == 2
    assert "--steps: not together with --epochs: either ends the run" in result.stderr


def test_what_is_frozen_is_said_by_name(train):
    result = train("--freeze-layers", 2, "--freeze-batchnorm")
    names = ["features.0", "features.1", "features.4"]
    told = "features.0, features.1, every other batch norm (1)"
    assert f"note: frozen: {told}; kept: " in result.stderr
    assert result.records()[-1]["frozen"] == names
    result = train("--freeze-layers", 9, "-f")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "xmir: error: --freeze-layers: the network has 4 blocks, found 9\n"
        "xmir: hint: They are, in their order: features.0, features.1, features.3, features.4.\n"
    )


@pytest.fixture
def validating(monkeypatch):
    """The validation of each epoch that is trained from now on, by patient: these mAP."""

    def give(*numbers: float) -> None:
        left = list(numbers)

        def validate(_feed, _examples, _advance, _ranks, by_patient):
            return {
                "map": 0.5,
                "p_at_1": 0.5,
                "p_at_5": 0.5,
                "map_excluding_same_patient": left.pop(0) if by_patient else None,
            }

        monkeypatch.setattr("xmir_cli.training.session.validate", validate)

    return give


BEST = ("--keep", "best")


def test_the_best_epoch_is_kept_the_first_of_equal_ones(train, data, validating):
    validating(0.5, 0.9, 0.7, 0.9)
    result = train(*BEST, "--plot", "run.svg", epochs=4)
    assert result.code == 0
    assert "kept: the weights of the epoch with the best validation mAP" in result.stderr
    assert result.stderr.endswith("xmir: note: kept: epoch 2 of the 4 that were trained\n")
    *epochs, receipt = result.records()
    assert [epoch["map_excluding_same_patient"] for epoch in epochs] == [0.5, 0.9, 0.7, 0.9]
    assert (receipt["kept_epoch"], receipt["steps"]) == (2, 8)
    tensors, metadata = read_tensors(data.parent / "out.safetensors")
    training = json.loads(metadata["xmir.training"])
    assert (training["kept"], training["asked"]["keep"], len(training["epochs"])) == (2, "best", 4)
    assert texts(Path("run.svg"))[0].endswith("4 of 4 epochs, epoch 2 kept (dashed)")
    train(output="two.safetensors", epochs=2)
    expected = read_tensors(data.parent / "two.safetensors")[0]
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


@pytest.mark.parametrize("step", [3, 5, 7])  # of two batches an epoch: in epochs 2, 3 and 4
def test_a_resumed_run_keeps_the_best_epoch_of_all(train, data, validating, monkeypatch, step):
    numbers = (0.5, 0.9, 0.7, 0.6)
    validating(*numbers)
    whole = train(*BEST, epochs=4).records()
    output = data.parent / "out.safetensors"
    expected = output.read_bytes()
    output.unlink()
    with monkeypatch.context() as patch:
        ask_to_end(patch, step)
        validating(*numbers)
        with pytest.raises(main._InterruptedError):
            train(*BEST, epochs=4)
    validating(*numbers[step // 2 :])
    result = train(*BEST, "--resume", epochs=4)
    assert result.records()[-1] == whole[-1]
    assert output.read_bytes() == expected
    assert not list(data.parent.glob("*.state.*"))


def test_patience_ends_a_run_that_gets_no_better(train, data, validating, monkeypatch):
    validating(0.5, 0.9, 0.7, 0.6)
    flags = (*BEST, "--patience", 2)
    result = train(*flags, epochs=9)
    said = "kept: epoch 2 of the 4 that were trained after 2 without a better one\n"
    assert result.stderr.endswith(said)
    output = data.parent / "out.safetensors"
    expected, receipt = output.read_bytes(), result.records()[-1]
    again = train(*flags, "--resume", epochs=9)
    assert (again.code, again.records()) == (0, [receipt])
    assert "exists already, trained with other epochs" in train(*flags, "--resume", epochs=3).stderr
    output.unlink()
    with monkeypatch.context() as patch:  # after the last epoch's state, before the checkpoint
        patch.setattr("xmir_cli.kept_training.write_checkpoint", _interrupt)
        validating(0.5, 0.9, 0.7, 0.6)
        with pytest.raises(main._InterruptedError):
            train(*flags, epochs=9)
    assert train(*flags, "--resume", epochs=9).records() == [receipt]
    assert output.read_bytes() == expected


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_best_epoch_needs_something_to_choose_by(train, data):
    assert "--patience: only with --keep best" in train("--patience", 2).stderr
    rows = rows_of(data)
    write_table(data, [row for row in rows if row[2] != "val"])
    warned = train(*BEST)
    assert (warned.code, "warning: the epoch is chosen by the split test" in warned.stderr) == (
        0,
        1,
    )
    for left, reason, hint in (
        (
            [row for row in rows if row[2] == "train"],
            "there is no split to validate on, by which --keep best chooses",
            "Give some rows the split val or name a split with --validate, or keep the last epoch.",
        ),
        (
            [[*row[:2], "", row[3]] for row in rows],
            "there is no split to validate on, by which --keep best chooses",
            "Give some rows the split val or name a split with --validate, or keep the last epoch.",
        ),
        (
            [[*row[:3], row[1]] for row in rows],  # a class is one patient's
            "no validation image has a match of another patient, by which --keep best chooses",
            "Name a split with --validate, or keep the last epoch.",
        ),
    ):
        write_table(data, left)
        result = train(*BEST, "--force")
        assert result.code == 5
        assert f"xmir: error: {reason}\nxmir: hint: {hint}\n" in result.stderr


def test_a_checkpoint_of_another_network_says_of_which(xmir, data, tiny_arch, monkeypatch):
    own = data.parent / "own.py"
    own.write_text(Path(tiny_arch.rpartition(":")[0]).read_text())
    monkeypatch.setenv("XMIR_NETWORKS", str(data.parent))
    flags = ("--arch", f"{own}:network", "--per-class", 4, "--epochs", 1, "-o", "a.safetensors")
    assert xmir("train", data, *flags, "--weights", "random:0").code == 0
    file = Path("a.safetensors").resolve()
    hint = f"xmir: hint: It was made with --arch {own}:network, its code as it was then.\n"
    embed = ("embed", data, "-o", "b.parquet")
    other = xmir(*embed, "--arch", "resnet18", "--weights", "a.safetensors")
    assert other.code == 6
    assert "tensors of the network are missing (features.conv1.weight" in other.stderr
    assert other.stderr.endswith(hint)
    own.write_text(own.read_text().replace("8", "9"))
    changed = xmir(*embed, "--model", "a.safetensors")
    told = f"xmir: error: {file}: features.0.bias: expected shape (9,), found (8,)\n"
    assert (changed.code, changed.stderr) == (6, told + hint)


def test_a_head_of_another_size_than_the_checkpoints_says_what_to_do(xmir, data, tiny_arch):
    flags = ("--arch", tiny_arch, "--per-class", 4, "--epochs", 1)
    begin = ("train", data, *flags, "--weights")
    for name, head in (("headed", ("--head", 8)), ("plain", ())):
        assert xmir(*begin, "random:0", *head, "-o", f"{name}.safetensors").code == 0
    headed, plain = (str(Path(f"{name}.safetensors").resolve()) for name in ("headed", "plain"))
    more = "a head of another size can be trained on its embeddings."
    for weights, head, told, hint in (
        (headed, ("--head", 4), f"expected 8, as {headed} has it, found 4", "Pass --head 8"),
        (headed, (), f"expected 8, as {headed} has it, found none", "Pass --head 8"),
        (plain, ("--head", 4), f"expected none, as {plain} has it, found 4", "Leave --head out"),
    ):
        result = xmir(*begin, weights, *head, "-o", "more.safetensors")
        assert result.code == 2
        assert result.stderr == f"xmir: error: --head: {told}\nxmir: hint: {hint}; {more}\n"
    assert xmir("embed", data, "--model", headed, "-o", "x.parquet").code == 0
    table = ("train", "x.parquet", "--per-class", 4, "--steps", 1, "--head", 4)
    assert xmir(*table, "-o", "more.safetensors").code == 0  # what the hint says
    assert xmir(*begin, headed, "--head", 8, "-o", "again.safetensors").code == 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--loss", "supcon", "--head", "4", "--head-learning-rate", "1e-2"],
        ["--loss", "multi-similarity", "--sampler", "all", "--random-resized-crop"],
        ["--loss", "proxy-anchor", "--sampler", "all", "--schedule", "cosine"],
    ],
)
def test_other_losses_and_samplers_are_recorded_and_resume_alike(train, data, monkeypatch, flags):
    rows = rows_of(data)
    write_table(data, [row for row in rows if row[0] != "lying-train-0.png"])
    whole = train(*flags, epochs=3).records()
    output = data.parent / "out.safetensors"
    expected = output.read_bytes()
    names = read_tensors(output)[0].keys()
    assert not any("proxies" in name for name in names)
    asked = json.loads(read_tensors_header(output)["__metadata__"]["xmir.training"])["asked"]
    assert asked["loss"] == flags[1]
    assert asked.get("sampler") == ("all" if "all" in flags else None)
    train(*flags, "--force", "--jobs", 1, epochs=3)
    assert output.read_bytes() == expected
    output.unlink()
    with monkeypatch.context() as patch:
        ask_to_end(patch, step=3 if "all" in flags else 2)  # inside an epoch
        with pytest.raises(main._InterruptedError):
            train(*flags, epochs=3)
    assert train(*flags, "--resume", epochs=3).records()[-1] == whole[-1]
    assert output.read_bytes() == expected
    assert re.search("trained with other .*loss", train("--resume", epochs=3).stderr)


def test_a_network_that_embeds_nothing_is_not_written(train, data, monkeypatch):
    write_table(data, [row for row in rows_of(data) if row[2] == "train"])  # no validation
    whole = Trainer.epoch

    def diverge(self, *arguments):
        outcome = whole(self, *arguments)
        with torch.no_grad():
            next(self.network.parameters()).fill_(torch.inf)
        return outcome

    monkeypatch.setattr(Trainer, "epoch", diverge)
    result = train(epochs=1)
    assert (result.code, Path("out.safetensors").exists()) == (6, False)
    assert "its embedding is NaN or infinite\nxmir: hint: Lower --learning-rate" in result.stderr


def test_no_step_is_larger_than_a_number_can_be(train):
    result = train("--learning-rate", "1e38")
    assert (result.code, "--learning-rate" in result.stderr) == (2, True)


def test_by_default_steps_fall_to_nothing_and_all_images_are_used(xmir, tiny_arch, data):
    flags = ("--arch", tiny_arch, "--per-class", 4, "--steps", 3, "--device", "cpu")
    begun = xmir("train", data, *flags, "--weights", "random:0", "-o", "begun.safetensors")
    assert "an epoch uses each of the 16 images" in begun.stderr
    assert "frozen: nothing; kept: the weights of the last epoch" in begun.stderr
    more = xmir("train", data, *flags, "--weights", "begun.safetensors", "-o", "more.safetensors")
    assert "frozen: features.0, features.1; kept: " in more.stderr  # of four blocks
    output = data.parent / "more.safetensors"
    asked = json.loads(read_tensors_header(output)["__metadata__"]["xmir.training"])["asked"]
    assert asked["freeze_layers"] == 2
    told = {name: asked.get(name) for name in ("sampler", "schedule", "learning_rate", "loss")}
    assert told == {"sampler": "all", "schedule": "cosine", "learning_rate": 3e-4, "loss": None}
    start = ("--weights", "begun.safetensors", "--freeze-layers", 0)
    whole = xmir("train", data, *flags, *start, "-f", "-o", "more.safetensors")
    assert "frozen: nothing" in whole.stderr
    assert asked["augmentation"] == {"random_resized_crop": False, "flip": True, "shift": True}


@pytest.mark.parametrize(
    ("asked", "shift"),
    [
        ({}, True),
        ({"shift": False}, False),
        ({"random_resized_crop": True}, False),
        ({"preset": "paper"}, False),
        ({"preset": "paper", "shift": True}, True),
    ],
)
def test_squares_are_shifted_unless_they_are_cropped_otherwise(asked, shift):
    described = Train(images=["a.csv"], output=Path("b.safetensors"), **asked)
    assert described.recipe.augmentation.shift == shift


def test_a_square_is_shifted_or_a_random_crop(train):
    result = train("--shift", "--random-resized-crop")
    assert (result.code, "--shift: not together with --random-res" in result.stderr) == (2, True)


def test_every_image_is_used_where_that_is_asked_for(train, data):
    rows = rows_of(data)
    write_table(data, [row for row in rows if row[0] != "lying-train-0.png"])
    assert "1 step, 2 steps in all" in train().stderr
    said = (
        "2 steps, 4 steps in all, each on 2 classes x 4 images; an epoch uses each of the 15 images"
    )
    assert said in train("--sampler", "all", "-f").stderr


def test_the_papers_recipe_is_what_it_was(train, data):
    train()
    output = data.parent / "out.safetensors"
    before = output.read_bytes()
    train("--preset", "paper", "--force")
    assert output.read_bytes() == before
    assert "3 steps in all" in train("--preset", "paper", "--steps", 3, "-f", epochs=None).stderr


def test_the_margin_is_the_triplet_losss(train):
    result = train("--loss", "supcon", "--margin", 0.3)
    assert (result.code, "--margin: only with --loss triplet" in result.stderr) == (2, True)


def test_a_head_without_weights_has_no_learning_rate(train):
    result = train("--head-learning-rate", 0.1)
    assert result.code == 2
    assert "--head-learning-rate: the head has no weights to train" in result.stderr


def test_the_checkpoint_says_how_to_load_it_and_what_made_it(train, data, tiny_arch):
    train("--head", 8, "--input-size", 24)
    output = data.parent / "out.safetensors"
    metadata = read_tensors_header(output)["__metadata__"]
    assert metadata["xmir.schema"] == "xmir.checkpoint/1"
    spec = json.loads(metadata["xmir.model"])
    assert (spec["architecture"], spec["weights"], spec["head"]) == (tiny_arch, "self", 8)
    assert spec["preprocessing"]["input_size"] == 24
    training = json.loads(metadata["xmir.training"])
    assert training["asked"]["start"]["weights"] == "random:0"
    assert training["asked"]["classes"] == {"lying": 8, "standing": 8}
    assert [epoch["epoch"] for epoch in training["epochs"]] == [1, 2]
    embedder = load_embedder(resolve_model(ModelChoice(model=str(output))), "cpu")
    assert embedder.spec.weights_sha256 == spec["weights_sha256"]
    assert embedder.spec.weights == str(output.resolve())
    assert embedder.dim == 8


def test_training_changes_every_tensor_of_the_network(train, data, tiny_arch):
    train()
    before = load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")), "cpu"
    )
    after = read_tensors(data.parent / "out.safetensors")[0]
    assert after.keys() == before.network.state_dict().keys()
    for name, tensor in before.network.state_dict().items():
        assert not torch.equal(tensor, after[name]), name


def test_the_name_of_the_output_is_not_in_it(train, data):
    train()
    output = data.parent / "out.safetensors"
    first = output.read_bytes()
    (data.parent / "elsewhere").mkdir()
    other = data.parent / "elsewhere" / "other.safetensors"
    train("-o", other)
    assert other.read_bytes() == first
    assert str(data.parent).encode() not in first


def test_the_same_command_gives_the_same_bytes(train, data):
    output = data.parent / "out.safetensors"
    train("--random-resized-crop")
    first = output.read_bytes()
    train("--random-resized-crop", "--force", "--jobs", 1)
    assert output.read_bytes() == first
    train("--force", "--seed", 1)
    assert output.read_bytes() != first


@pytest.mark.parametrize(
    "flags",
    [[], ["--random-resized-crop", "--head", "4"], ["--attention-loss", "0.3", "--head", "4"]],
)
def test_a_resumed_run_ends_with_the_bytes_of_one_that_never_stopped(
    train, data, monkeypatch, flags
):
    output = data.parent / "out.safetensors"
    state = data.parent / "out.safetensors.state.safetensors"
    whole = train(*flags, epochs=3).records()
    expected = output.read_bytes()
    output.unlink()
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=3)
        with pytest.raises(main._InterruptedError):
            train(*flags, epochs=3)
    assert state.exists()
    assert not output.exists()
    result = train(*flags, "--resume", epochs=3)
    assert beside_plan(result.stderr) == "xmir: note: continuing: 2 of 3 epochs are done\n"
    assert output.read_bytes() == expected
    assert [record.get("loss") for record in result.records()] == [whole[2]["loss"], None]
    assert not state.exists()


def test_without_attention_loss_the_run_is_the_one_from_before_there_was_any(train, data):
    output = data.parent / "out.safetensors"
    records = train().records()
    before = output.read_bytes()
    asked = json.loads(read_tensors_header(output)["__metadata__"]["xmir.training"])["asked"]
    assert "attention_loss" not in asked
    assert [list(record) for record in records[:-1]] == [KEYS] * 2
    train("--attention-loss", 0, "--force")
    assert output.read_bytes() == before


def test_the_attention_loss_is_recorded_beside_the_triplet_loss(train, data):
    first, second, _ = train("--attention-loss", 0.5).records()
    assert list(first) == [*KEYS[:4], "attention_loss", *KEYS[4:]]
    assert first["attention_loss"] > 0
    training = json.loads(
        read_tensors_header(data.parent / "out.safetensors")["__metadata__"]["xmir.training"]
    )
    assert training["asked"]["attention_loss"] == 0.5
    assert training["epochs"][1]["attention_loss"] == second["attention_loss"]
    header, *rows = train("--attention-loss", 0.5, "--format", "table", "-f").stdout.splitlines()
    assert header.split() == ["epoch", "loss", "attention_loss", *KEYS[4:8], "seconds"]
    assert [row.split()[2] for row in rows] == [
        f"{epoch['attention_loss']:.4f}" for epoch in (first, second)
    ]
    assert {len(row) for row in rows} == {len(header)}
    assert "trained with other attention_loss" in train("--resume").stderr


def test_the_attention_loss_of_a_network_without_maps_is_refused(train):
    result = train("--attention-loss", 0.5, "--arch", "vit_b_32", "--input-size", 32)
    assert result.code == 6
    assert result.stderr == (
        "xmir: error: --attention-loss: this network's embedding is not pooled from a feature map "
        "(class token or attention pooling)\n"
        "xmir: hint: Leave it out, or train a network with pooling: "
        "densenet121, resnet50, convnext_tiny.\n"
    )


@pytest.mark.parametrize("gamma", ["-1", "much"])
def test_the_weight_of_the_attention_loss_is_a_number_from_0(train, gamma):
    assert train("--attention-loss", gamma).code == 2


def test_an_interrupted_run_says_how_to_continue(train, monkeypatch):
    interrupt(monkeypatch, epoch=2)
    notes: list[str] = []
    monkeypatch.setattr(console, "note", notes.append)
    with pytest.raises(main._InterruptedError):
        train()
    state = "out.safetensors.state.safetensors"
    assert notes[3:] == [f"interrupted; what is done is kept in {state}: continue with --resume"]
    result = train()
    assert result.code == 7
    assert result.stderr == (
        f"xmir: error: {state}: a run that was interrupted\n"
        "xmir: hint: Continue it with --resume, or start anew with --force.\n"
    )


@pytest.mark.parametrize("flags", [[], ["--attention-loss", "0.3", "--head", "4"]])
@pytest.mark.parametrize("step", [1, 2, 3])  # of two batches an epoch
def test_a_run_asked_to_end_finishes_its_batch_and_goes_on_from_there(
    train, data, monkeypatch, flags, step
):
    whole = train(*flags).records()
    output = data.parent / "out.safetensors"
    expected = output.read_bytes()
    output.unlink()
    with monkeypatch.context() as patch:
        ask_to_end(patch, step)
        with pytest.raises(main._InterruptedError):
            train(*flags)
    result = train(*flags, "--resume")
    epochs, batches = divmod(step, 2)
    part = f" and {batches} batches" if batches else ""
    if step == 2:  # the epoch's batches are done, its validation is not
        epochs, part = 0, " and 2 batches"
    assert (
        beside_plan(result.stderr)
        == f"xmir: note: continuing: {epochs} of 2 epochs{part} are done\n"
    )
    assert output.read_bytes() == expected
    losses = [record.get("loss") for record in result.records()]
    assert losses == [record.get("loss") for record in whole[epochs:]]


def test_a_run_that_has_done_nothing_does_not_claim_an_older_runs_state(train, monkeypatch):
    for epoch in (2, 1):
        with monkeypatch.context() as patch:
            interrupt(patch, epoch)
            notes: list[str] = []
            patch.setattr(console, "note", notes.append)
            with pytest.raises(main._InterruptedError):
                train("--force")
        assert [note.startswith("interrupted") for note in notes[3:]] == [True] * (epoch - 1)
    assert Path("out.safetensors.state.safetensors").exists()


def test_a_second_ctrl_c_ends_at_once_and_keeps_no_torn_state(train, data, monkeypatch):
    with monkeypatch.context() as patch:
        ask_to_end(patch, step=2, times=2)
        with pytest.raises(main._InterruptedError):
            train()
    assert not list(data.parent.glob("out.safetensors*"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_flags_do_not_continue_an_interrupted_run(train, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=3)
        with pytest.raises(main._InterruptedError):
            train(epochs=3)
    result = train("--resume", "--margin", "0.3", "--seed", 5, epochs=3)
    assert result.code == 5
    assert "interrupted with other margin, seed" in result.stderr
    assert "2 epochs are done, more than the 1 of --epochs" in train("--resume", epochs=1).stderr
    assert train("--resume", epochs=4).code == 0  # longer is possible


def test_resuming_a_finished_run_does_nothing(train):
    receipt = train().records()[-1]
    result = train("--resume")
    assert (result.code, result.records()) == (0, [receipt])
    assert result.stderr == "xmir: note: out.safetensors: finished already\n"
    refused = train("--resume", epochs=3)
    assert refused.code == 7
    assert "exists already, trained with other epochs" in refused.stderr


def test_a_figure_shows_the_epochs_so_far_as_each_ends(train, monkeypatch):
    from xmir_cli import edge

    seen, write = [], edge.Printer.write

    def look(self, record):
        seen.append(texts(Path("run.svg")))
        write(self, record)

    monkeypatch.setattr(edge.Printer, "write", look)
    first, second, _ = train("--plot", "run.svg").records()
    titles = [f"Training of tiny.py:network: {count} of 2 epochs" for count in (1, 2, 2)]
    assert [found[0] for found in seen] == titles
    assert f"loss {first['loss']:.3f}" in seen[0]
    assert f"violating fraction {first['violating_fraction']:.3f}" in seen[0]
    assert seen[0][1] == (
        "16 images of 2 classes, batches of 2 classes x 4 images, learning rate 0.005, "
        "margin 0.2, seed 0"
    )
    for name, key in (("mAP", "map"), ("P@1", "p_at_1"), ("P@5", "p_at_5")):
        assert any(text.startswith(f"{name} {second[key]:.3f}") for text in seen[2])


def test_a_learning_rate_that_changes_is_recorded_and_drawn(train):
    first, second, _ = train("--schedule", "cosine", "--plot", "run.svg").records()
    for record, turned in (
        (first, np.pi / 6),
        (second, np.pi * 13 / 18),
    ):  # after a tenth of warm-up
        assert record["learning_rate"] == pytest.approx(5e-3 * (1 + np.cos(turned)) / 2)
    drawn = texts(Path("run.svg"))
    assert f"learning rate {second['learning_rate']:.3g}" in drawn
    assert "learning rate 0.005, cosine" in drawn[1]


@pytest.mark.parametrize("left", ["finished", "other", "state", "nothing"])
def test_a_run_that_waited_for_another_one_of_its_output_ends_well(train, monkeypatch, left):
    with (
        monkeypatch.context() as patch,
        pytest.raises(main._InterruptedError) if (left == "state") else nullcontext(),
    ):
        if left == "state":
            interrupt(patch, 2)
        train(*(["--margin", "0.4"] if left == "other" else []))
    output = Path("out.safetensors")
    kept = state_path(output) if left == "state" else output
    made = kept.read_bytes()
    if left != "state":  # whose file is there while the other run is on
        kept.unlink()
    other = hold(output)
    other.__enter__()
    Path("out.svg").touch()  # which it draws after each epoch

    def end() -> None:
        if left != "nothing":
            kept.write_bytes(made)
        other.__exit__(None, None, None)

    ends = threading.Timer(1, end)
    ends.start()
    result = train("--plot", "out.svg")
    ends.join()
    assert result.code == 0, result.stderr
    assert f"note: {output}: another run is working on it; this one waits" in result.stderr
    said = {
        "finished": f"note: {output}: finished already",
        "other": f"note: {output}: another run has made it meanwhile; it is replaced",
        "state": "note: continuing: 1 of 2 epochs are done",
        "nothing": "",
    }
    assert said[left] in result.stderr
    assert not state_path(output).exists()
    assert train("--force", output="alone.safetensors").code == 0
    assert output.read_bytes() == Path("alone.safetensors").read_bytes()


def test_the_figure_of_a_resumed_run_shows_all_its_epochs(train, monkeypatch):
    train("--plot", "whole.png", output="whole.safetensors", epochs=3)
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=3)
        with pytest.raises(main._InterruptedError):
            train("--plot", "run.png", epochs=3)
    assert Path("run.png").read_bytes() != Path("whole.png").read_bytes()
    assert train("--plot", "run.png", "--resume", epochs=3).code == 0
    assert Path("run.png").read_bytes() == Path("whole.png").read_bytes()
    Path("run.png").unlink()
    assert train("--plot", "run.png", "--resume", epochs=3).code == 0  # finished already
    assert Path("run.png").read_bytes() == Path("whole.png").read_bytes()


def test_a_figure_does_not_change_the_run(train, data):
    records = train().records()
    plain = (data.parent / "out.safetensors").read_bytes()
    drawn = train("--plot", "run.png", "--force").records()
    assert (data.parent / "out.safetensors").read_bytes() == plain
    assert [record.keys() for record in drawn] == [record.keys() for record in records]


def test_a_figure_that_cannot_be_drawn_meanwhile_does_not_end_the_run(train, monkeypatch):
    from xmir_cli.pages import history

    write, calls = history.write_history, []

    def fail_first(path, run):
        calls.append(len(run.epochs))
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        write(path, run)

    monkeypatch.setattr(history, "write_history", fail_first)
    result = train("--plot", "run.png")
    assert result.code == 0
    assert calls == [1, 2]
    assert beside_plan(result.stderr) == (
        "xmir: warning: run.png: not drawn, the run goes on: no space left on device\n"
    )
    assert Path("run.png").exists()


@pytest.mark.parametrize(
    ("plot", "code", "message"),
    [
        ("run.pdf", 2, "--plot run.pdf: expected a file that ends in .png or .svg"),
        ("run", 2, "--plot run: expected a file that ends in .png or .svg"),
        ("nowhere/run.png", 5, "nowhere: no such folder"),
        ("/proc/run.png", 5, "/proc/run.png: cannot be written there"),
        ("folder.png", 5, "folder.png: cannot be written there"),
        (f"{'n' * 300}.png", 5, f"{'n' * 60}...{'n' * 53}.png: file name too long"),
        ("there.svg", 7, "there.svg: exists already"),
        ("lying-train-0.png", 2, "--plot lying-train-0.png: is an input, too"),
        ("out.png", 2, "--plot out.png: is written by --output, too"),
    ],
)
def test_a_place_without_a_figure_is_found_before_the_work(train, data, plot, code, message):
    Path("folder.png").mkdir()
    Path("there.svg").write_text("kept")
    pictures = (data.parent / "lying-train-0.png").read_bytes()
    force = ["--force"] if plot.startswith("lying") else []
    result = train("--plot", plot, *force, output="./out.png" if plot == "out.png" else "out.st")
    assert result.code == code
    assert result.stderr.splitlines()[0] == f"xmir: error: {message}"
    assert not result.stdout
    assert Path("there.svg").read_text() == "kept"
    assert (data.parent / "lying-train-0.png").read_bytes() == pictures


def test_resuming_nothing_starts(train):
    result = train("--resume")
    assert result.code == 0
    assert "nothing is continued" in result.stderr


def test_an_existing_output_is_refused(train, data):
    (data.parent / "out.safetensors").write_text("precious")
    result = train()
    assert result.code == 7
    assert (data.parent / "out.safetensors").read_text() == "precious"


def test_an_output_that_cannot_be_written_is_found_before_the_work(train, data):
    assert train(output="nowhere/out.safetensors").code == 5
    assert train(output=data.parent).code == 5


def test_a_file_that_is_no_state_is_not_continued(train, data):
    (data.parent / "out.safetensors.state.safetensors").write_bytes(b"rubbish")
    assert train("--resume").code == 6
    train("--force")
    Path("out.safetensors").rename("out.safetensors.state.safetensors")
    result = train("--resume")
    assert result.code == 6
    assert "expected a file of the schema xmir.training/1, found xmir.checkpoint/1" in result.stderr


def test_unreadable_and_unlabelled_images_are_named_and_left_out(train, data):
    rows = rows_of(data)
    (data.parent / rows[0][0]).write_bytes(b"")
    rows[1][1] = ""
    (data.parent / "copy.png").write_bytes((data.parent / rows[2][0]).read_bytes())
    write_table(
        data, [*rows, ["copy.png", "standing", "train", "x"], ["gone.png", "lying", "val", "x"]]
    )
    result = train()
    assert result.code == 3
    assert result.records()[-1]["rows"] == 13  # 16 less broken, unlabelled, contradicted
    assert result.records()[-1]["skipped"] == 5
    for name, code in (
        *((rows[0][0], "empty"), (rows[1][0], "no-label"), (rows[2][0], "two-classes")),
        *(("copy.png", "two-classes"), ("gone.png", "missing")),
    ):
        assert f"skipped {name}: {code}" in result.stderr
    assert "13 trained on, 5 skipped" in result.stderr


def test_nothing_readable_is_an_error(train, data):
    for row in rows_of(data):
        (data.parent / row[0]).write_bytes(b"")
    result = train()
    assert result.code == 5
    assert "none of 16 training images could be read; nothing was written" in result.stderr


def test_training_without_labels_is_an_error(train, data):
    result = train(source=data.parent)
    assert result.code == 5
    assert "none of 38 images has a label" in result.stderr


def test_one_class_is_an_error(train):
    result = train("--where", "label=lying")
    assert result.code == 5
    assert "training needs images of at least two classes, found only lying" in result.stderr


def test_a_small_class_names_the_flag_that_helps(train):
    result = train("--per-class", 9)
    assert result.code == 5
    assert "class lying has 8 images, fewer than the 9 of --per-class" in result.stderr
    assert "Lower --per-class to 8" in result.stderr


def test_a_rare_class_is_left_out_with_a_word(train, data):
    rows = rows_of(data)
    rows[0][1], rows[8][1] = "rare", "rare"  # one to train on, one to validate on
    write_table(data, rows)
    result = train()
    assert result.code == 3
    assert "warning: class rare has 1 images, a batch takes 4 of each: left out" in result.stderr
    assert f"skipped {rows[8][0]}: rare-class" in result.stderr
    assert (result.records()[-1]["rows"], result.records()[-1]["skipped"]) == (15, 2)


@pytest.mark.parametrize("name", ["validation", "Dev"])
def test_validation_counts_as_val_and_is_said(train, data, name: str):
    expected = train().records()[0]["map"]
    rows = [[*row[:2], {"val": name}.get(row[2], row[2]), row[3]] for row in rows_of(data)]
    write_table(data, rows)
    result = train(output="other.safetensors")
    said = f"xmir: note: validating on the split {name}\n"
    assert (result.code, beside_plan(result.stderr)) == (0, said)
    assert result.records()[0]["map"] == expected is not None


@pytest.mark.parametrize("loss", ["triplet", "supcon", "multi-similarity", "proxy-anchor"])
def test_images_with_several_labels_count_for_each(train, data, loss):
    rows = [[row[0], row[1].replace("standing", "b|a"), *row[2:]] for row in rows_of(data)]
    rows[0][1] = "lying|a"
    write_table(data, rows)
    result = train("--loss", loss, "--sampler", "all")
    assert result.code == 0
    assert (
        "note: 9 images have several labels: a pair is positive if it shares one" in result.stderr
    )
    assert "training on 16 images of 3 classes: a 9, b 8, lying 8\n" in result.stderr
    assert "each on 3 classes with at least 4 images" in result.stderr
    assert result.records()[-1]["rows"] == 16
    assert result.records()[0]["map"] is not None


def test_an_image_of_a_rare_label_stays_for_its_other_label(train, data):
    rows = rows_of(data)
    places = [place for place, row in enumerate(rows) if row[2] == "train"]
    rows[places[0]][1], rows[places[1]][1] = "rare|lying", "rare"
    write_table(data, rows)
    result = train()
    few = "class rare has 2 images, a batch takes 4 of each"
    assert result.code == 3
    assert f"warning: {few}: those of no other are left out" in result.stderr
    assert f"skipped {rows[places[1]][0]}: rare-class" in result.stderr
    assert result.stderr.count(": rare-class") == 1
    assert result.records()[-1]["rows"] == 15


def test_a_label_that_every_image_has_is_refused(train, data):
    write_table(data, [[row[0], f"{row[1]}|x-ray", *row[2:]] for row in rows_of(data)])
    result = train()
    assert result.code == 5
    assert "every two images share a label" in result.stderr
    assert "Every image has x-ray: leave it out." in result.stderr


def test_validation_pictures_that_are_all_alike_are_warned_of(train, data):
    pictures = sorted(data.parent.glob("*-val-*.png"))
    for picture in pictures[1:]:
        picture.write_bytes(pictures[0].read_bytes())
    result = train("--epochs", "1")
    [epoch, _] = result.records()
    assert list(epoch) == [*KEYS[:8], "tied_pairs", *KEYS[8:]]
    assert (epoch["tied_pairs"], epoch["p_at_1"]) == (1, pytest.approx(5 / 11))
    assert "warning: epoch 1: 100.0% of the pairs of a relevant validation image" in result.stderr


def test_without_val_the_test_split_validates_and_this_is_said(train, data):
    write_table(data, [row for row in rows_of(data) if row[2] != "val"])
    result = train()
    assert "validating on the split test" in result.stderr
    assert result.records()[0]["map"] is not None


def test_without_splits_nothing_validates_and_this_is_said(train, data):
    write_table(data, [[*row[:2], "", row[3]] for row in rows_of(data)])
    result = train()
    assert "no split to validate on" in result.stderr
    *epochs, receipt = result.records()
    assert receipt["rows"] == 38
    assert [epochs[0][name] for name in ("map", "p_at_1", "p_at_5")] == [None] * 3


def test_splits_may_be_named(train):
    result = train("--split", "val", "--validate", "test")
    said = beside_plan(result.stderr)
    assert (result.code, said, result.records()[-1]["rows"]) == (0, "", 12)


def test_a_patient_in_both_splits_is_warned_about(train, data):
    write_table(data, [[*row[:3], "somebody"] for row in rows_of(data)])
    assert "1 patients have images in both splits" in train().stderr


def test_frozen_layers_and_batch_norms_stay(train, data, tiny_arch):
    train("--freeze-layers", 2, "--freeze-batchnorm")
    before = load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0")), "cpu"
    )
    after = read_tensors(data.parent / "out.safetensors")[0]
    changed = {n for n, t in before.network.state_dict().items() if not torch.equal(t, after[n])}
    assert changed == {"features.3.weight", "features.3.bias"}


def test_a_diverging_run_stops_and_keeps_its_last_state(train, data, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=2)
        with pytest.raises(main._InterruptedError):
            train()
    state = data.parent / "out.safetensors.state.safetensors"
    before = state.read_bytes()
    monkeypatch.setattr(feed, "to_input", lambda *_: torch.full((3, 32, 32), torch.nan))
    result = train("--resume")
    assert result.code == 6
    assert "epoch 2, batch 1: the loss is nan" in result.stderr
    assert state.read_bytes() == before
    assert not (data.parent / "out.safetensors").exists()


def test_bf16_without_hardware_for_it_is_refused(train, monkeypatch):
    monkeypatch.setattr("xmir_cli.training.loop.has_bf16", lambda _: False)
    result = train("--precision", "bf16")
    assert result.code == 6
    assert result.stderr.splitlines() == [
        "xmir: error: --precision bf16: this device (cpu) has no fast bfloat16",
        "xmir: hint: Leave it out, or use a CUDA device or a processor with AVX-512 BF16 or AMX.",
    ]


@pytest.mark.parametrize("value", ["1", "some", "-3"])
def test_classes_per_batch_is_all_or_a_number(train, value):
    result = train("--classes-per-batch", value)
    assert result.code == 2
    assert f"expected all or a number from 2, found {value}" in result.stderr


def test_classes_per_batch_may_be_a_number(train):
    assert train("--classes-per-batch", 2).code == 0
    assert "fewer than the 3 of --classes-per-batch" in train("--classes-per-batch", 3, "-f").stderr


def test_a_table_grows_by_a_row_an_epoch(train):
    result = train("--format", "table")
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["epoch", *KEYS[3:8], "seconds"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert {len(row) for row in rows} == {len(header)}
    assert "note: wrote " in result.stderr


def test_tsv_holds_the_epochs_and_paths_the_checkpoint(train, data):
    lines = train("--format", "tsv").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["epoch", "1", "2"]
    assert train("--format", "paths", "-f").stdout == f"{data.parent / 'out.safetensors'}\n"
