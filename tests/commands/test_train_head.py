"""`xmir train EMBEDDINGS` and `xmir embed EMBEDDINGS --model HEAD` through the front door."""

import csv
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from xmir_cli import main
from xmir_cli.commands.embed import OF_IMAGES, Embed
from xmir_cli.store.checkpoint import read_tensors
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.store.hashes import sha256_file
from xmir_cli.training import loop


def write_pictures(folder: Path) -> Path:
    """Lying and standing stripes under noise, of two patients an image each, in two splits."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(40) * 1.3) * 12
    rows = []
    for place in range(28):
        label = ("lying", "standing")[place % 2]
        field = wave[:, None] if label == "lying" else wave[None, :]
        values = 128 + field + rng.normal(0, 30, size=(40, 40))
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(folder / f"{place}.png")
        split = "train" if place < 16 else "val"
        rows.append([f"{place}.png", label, split, f"p{place // 2}"])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "patient"], *rows])
    return folder / "labels.csv"


SIZES = ("--input-size", 32, "--resize", 36)
SHORT = ("--per-class", 4, "--steps", 12)


@pytest.fixture
def table(xmir, tiny_arch, tmp_path) -> Path:
    """The pictures' embeddings by a small network."""
    made = tmp_path / "stripes.parquet"
    source = write_pictures(tmp_path)
    arch = ("--arch", tiny_arch, "--weights", "random:0", *SIZES)
    assert xmir("embed", source, *arch, "-o", made).code == 0
    return made


@pytest.fixture
def train(xmir, table):
    def run(*arguments, source=table, output="head.safetensors"):
        return xmir("train", source, "-o", table.parent / output, *SHORT, *arguments)

    return run


def test_a_head_is_trained_without_reading_an_image(train, table):
    for picture in table.parent.glob("*.png"):
        picture.unlink()
    made = train("--head", 6)
    assert made.code == 0, made.stderr
    *epochs, receipt = made.records()
    assert epochs[-1]["steps"] == 12
    assert receipt["rows"] == 16
    assert receipt["dim"] == 6
    assert "no image is read: a linear head from" in made.stderr
    assert "12 steps in all, each on 2 classes x 4 images" in made.stderr
    assert epochs[-1]["loss"] != epochs[0]["loss"]
    assert set(epochs[0]) >= {"map", "p_at_1", "violating_fraction"}


def test_equal_runs_give_equal_bytes(train, table):
    for name in ("a", "b"):
        assert train(output=f"{name}.safetensors").code == 0
    assert train("--seed", 1, output="c.safetensors").code == 0
    a, b, c = (sha256_file(table.parent / f"{name}.safetensors") for name in "abc")
    assert a == b != c


def test_a_stopped_run_goes_on_to_the_same_bytes(train, table, monkeypatch):
    assert train(output="whole.safetensors").code == 0
    step, calls = loop.Trainer.step, []

    def stop(self, *given):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(loop.Trainer, "step", stop)
    with pytest.raises(main._InterruptedError):
        train()
    monkeypatch.undo()
    made = train("--resume")
    assert made.code == 0, made.stderr
    assert "continuing:" in made.stderr
    assert sha256_file(table.parent / "head.safetensors") == sha256_file(
        table.parent / "whole.safetensors"
    )


def test_images_and_their_vectors_get_the_same_embeddings(xmir, train, table):
    folder = table.parent
    assert train("--head", 6).code == 0
    head = folder / "head.safetensors"
    of_vectors = xmir("embed", table, "--model", head, "-o", folder / "v.parquet")
    assert of_vectors.code == 0, of_vectors.stderr
    assert "no image is read: the head" in of_vectors.stderr
    assert of_vectors.records()[0]["rows"] == 28
    assert (
        xmir("embed", folder / "labels.csv", "--model", head, "-o", folder / "i.parquet").code == 0
    )
    first, second = (read_embeddings(str(folder / f"{name}.parquet")) for name in "vi")
    assert first.vectors == pytest.approx(second.vectors, abs=2e-6)
    assert first.items.equals(second.items)
    assert first.model.same_embedding(second.model)
    info = xmir("info", folder / "v.parquet").records()[0]
    assert info["adapted"].startswith("vectors of ")


def test_an_index_of_the_heads_embeddings_is_asked_with_images_and_explained(xmir, train, table):
    folder = table.parent
    assert train().code == 0
    head, index = folder / "head.safetensors", folder / "v.xmir"
    assert xmir("embed", table, "--model", head, "-o", folder / "v.parquet").code == 0
    assert xmir("index", folder / "v.parquet", "-o", index).code == 0
    asked = xmir("query", folder / "3.png", "-i", index, "--top", 2)
    assert asked.code == 0, asked.stderr
    assert asked.records()[0]["similarity"] == pytest.approx(1, abs=1e-6)
    maps = xmir("saliency", "--no-overlay", "-o", folder / "maps", stdin=asked.stdout)
    assert maps.code == 0, maps.stderr
    for record in maps.records():
        total = np.load(record["saliency"]).sum() / 16  # pixels of a cell
        assert total == pytest.approx(record["similarity"], abs=1e-4)


def test_an_archive_is_narrowed_and_piped(xmir, train, table):
    folder = table.parent
    assert train().code == 0
    head = folder / "head.safetensors"
    made = xmir("embed", table, "--model", head, "--where", "split=val", "-o", folder / "v.parquet")
    assert made.records()[0]["rows"] == 12
    piped = xmir("embed", table, "--model", head)
    assert xmir("index", "-", "-o", folder / "v.xmir", stdin=piped.stdout_bytes).code == 0
    none = xmir("embed", table, "--model", head, "--where", "split=x", "-o", folder / "x.parquet")
    assert none.code == 5


def test_vectors_of_another_model_are_refused(xmir, train, table, tiny_arch):
    folder = table.parent
    assert train().code == 0
    arch = ("--arch", tiny_arch, "--weights", "random:1", *SIZES)
    assert xmir("embed", folder / "labels.csv", *arch, "-o", folder / "o.parquet").code == 0
    head = folder / "head.safetensors"
    refused = xmir("embed", folder / "o.parquet", "--model", head, "-o", folder / "v.parquet")
    assert refused.code == 6
    assert "and the head was trained on vectors of" in refused.stderr
    assert not (folder / "v.parquet").exists()


def test_another_networks_weights_are_refused_before_the_first_step(train):
    refused = train("--weights", "random:1")
    assert refused.code == 6
    assert "not the recorded weights" in refused.stderr


def test_a_head_joins_the_head_that_there_is(xmir, train, table, tiny_arch):
    folder = table.parent
    arch = ("--arch", tiny_arch, "--weights", "random:0", "--head", 7, *SIZES)
    assert xmir("embed", folder / "labels.csv", *arch, "-o", folder / "h.parquet").code == 0
    assert train("--head", 5, source=folder / "h.parquet").code == 0
    head = folder / "head.safetensors"
    assert read_tensors(head)[0]["adapter.weight"].shape == (5, 7)
    for source, name in ((folder / "h.parquet", "v"), (folder / "labels.csv", "i")):
        assert xmir("embed", source, "--model", head, "-o", folder / f"{name}.parquet").code == 0
    first, second = (read_embeddings(str(folder / f"{name}.parquet")) for name in "vi")
    assert first.vectors == pytest.approx(second.vectors, abs=2e-6)


@pytest.mark.parametrize("size", [(), ("--head", 7)])
def test_a_head_is_put_behind_a_head_that_has_weights(xmir, train, table, tiny_arch, size):
    folder, networks = table.parent, Path(tiny_arch.partition(":")[0]).parent
    arch = ("--arch", f"{networks / 'tokens.py'}:class_token", *SIZES, *size)
    short = ("--per-class", 4, "--steps", 2, "-o", folder / "b.safetensors")
    assert xmir("train", folder / "labels.csv", *arch, "--weights", "random:0", *short).code == 0
    base = ("--model", folder / "b.safetensors")  # whose norm is no longer as it was made
    assert xmir("embed", folder / "labels.csv", *base, "-o", folder / "h.parquet").code == 0
    assert train("--head", 5, source=folder / "h.parquet").code == 0
    head = ("--model", folder / "head.safetensors")
    for source, name in (("h.parquet", "v"), ("labels.csv", "i")):
        assert xmir("embed", folder / source, *head, "-o", folder / f"{name}.parquet").code == 0
    first, second = (read_embeddings(str(folder / f"{name}.parquet")) for name in "vi")
    assert first.vectors == pytest.approx(second.vectors, abs=1e-5)


def _write(table: Path, name: str, change) -> Path:
    """The same table with other columns, under its own metadata."""
    whole = pq.read_table(table)
    changed = change(whole).replace_schema_metadata(whole.schema.metadata)
    pq.write_table(changed, table.parent / name)
    return table.parent / name


def test_what_cannot_be_trained_on_is_refused(train, table):
    def blank(name, value):
        def change(whole):
            place = whole.column_names.index(name)
            return whole.set_column(place, name, [[value] * len(whole)])

        return change

    nothing = train(source=_write(table, "n.parquet", blank("label", "")))
    assert nothing.code == 5
    assert "none of 28 images has a label" in nothing.stderr
    one = train(source=_write(table, "one.parquet", blank("label", "lying")))
    assert one.code == 5
    assert "training needs images of at least two classes, found only lying" in one.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--no-flip",),
        ("--preset", "paper"),
        ("--freeze-layers", 1),
        ("--input-size", 32),
        ("--precision", "bf16"),
    ],
)
def test_flags_of_images_are_refused_by_name(train, flags):
    refused = train(*flags)
    assert refused.code == 2
    assert refused.stderr.startswith(f"xmir: error: {flags[0]}: not with embeddings")


def test_embeddings_stand_alone(xmir, train, table):
    refused = xmir(
        "train", table, table.parent / "labels.csv", "-o", table.parent / "x.safetensors"
    )
    assert refused.code == 2
    assert "embeddings stand alone" in refused.stderr
    assert train().code == 0
    head = table.parent / "head.safetensors"
    refused = xmir("embed", table, "--model", head, "--features", "-o", table.parent / "v.parquet")
    assert refused.code == 2
    assert "--features: not with stored vectors" in refused.stderr


def test_the_best_epoch_is_kept_and_the_record_says_what_was_trained(xmir, train, table):
    assert train("--keep", "best", "--loss", "supcon", "--where", "split!=x").code == 0
    told = xmir("info", table.parent / "head.safetensors").records()[0]["training"]
    asked = told["asked"]
    assert asked["adapter"] == 16
    assert asked["loss"] == "supcon"
    assert asked["start"]["weights"] == "random:0"
    assert 1 <= told["kept"] <= len(told["epochs"])


def test_with_any_other_model_a_table_lists_images(xmir, table, tiny_arch):
    arch = ("--arch", tiny_arch, "--weights", "random:1", *SIZES)
    made = xmir("embed", table, *arch, "-o", table.parent / "again.parquet")
    assert made.code == 0, made.stderr
    assert "no image is read" not in made.stderr


def test_a_list_leaves_stored_vectors_out_as_it_does_images(xmir, train, table):
    """By content, for the first line, and by id, for the second; no image is there any more."""
    items = read_embeddings(table).items
    hashes, ids = items["sha256"].to_pylist(), items["id"].to_pylist()
    left = table.parent / "left.jsonl"
    told = {"finding": "leak", "query": "/x/0.png", "retrieved": "/x/y.png"}
    lines = [{**told, "query_identity": hashes[0]}, {"id": ids[27]}]
    left.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for picture in table.parent.glob("*.png"):
        picture.unlink()
    made = train("--exclude", left)
    assert (made.code, made.records()[-1]["rows"]) == (0, 15), made.stderr
    assert f"note: {left}: 2 of 28 images are left out" in made.stderr
    head, out = table.parent / "head.safetensors", table.parent / "v.parquet"
    made = xmir("embed", table, "--model", head, "--exclude", left, "-o", out)
    assert made.code == 0, made.stderr
    assert f"note: {left}: 2 of 28 images are left out" in made.stderr
    assert read_embeddings(out).items["id"].to_pylist() == ids[1:27]
    chosen = ("--where", "split=val", "--force", "-o", out)
    assert xmir("embed", table, "--model", head, "--exclude", left, *chosen).code == 0
    assert read_embeddings(out).items["id"].to_pylist() == ids[16:27]
    left.write_text("".join(f"{each}\n" for each in ids))
    refused = xmir("embed", table, "--model", head, "--exclude", left, "--force", "-o", out)
    assert (refused.code, "says to leave out all 28 images" in refused.stderr) == (5, True)


def test_every_flag_of_embed_is_known_to_matter_or_not_to_stored_vectors():
    known = {
        *("images", "null", "where", "model", "output", "file_format", "left_out", "force"),
        "exclude",  # matches the rows of the table
        *("architecture", "weights", "head"),  # refused beside a model, or of no use without one
        *("batch", "device", "jobs"),  # how fast, not what
        "shard",  # refused by itself
    }
    assert {field.name for field in fields(Embed)} - known == set(OF_IMAGES)
