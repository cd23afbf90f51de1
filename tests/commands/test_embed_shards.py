"""`xmir embed --shard`: several processes make the rows of one, byte by byte."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from xmir_cli.embedding import parts as parts_module
from xmir_cli.store.embeddings import Embeddings, read_embeddings
from xmir_cli.store.turns import hold
from xmir_cli.stories import embed as story

COUNT = 11


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eleven pictures with labels, of which one is empty and one is there twice."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["path,label,age"]
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (36, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{number}")
    (folder / "3.png").write_bytes(b"")
    (folder / "labels.csv").write_text("\n".join([*lines, "1.png,a,1"]) + "\n")
    return folder / "labels.csv"


@pytest.fixture
def embed(xmir, tiny_arch: str, monkeypatch: pytest.MonkeyPatch):
    """Run with slots of two images."""
    monkeypatch.setattr(story, "BATCHES", 1)

    def run(*arguments: object, environment: dict[str, object] | None = None):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", 2)
        with pytest.MonkeyPatch.context() as patched:
            for name, value in (environment or {}).items():
                patched.setenv(name, str(value))
            return xmir("embed", *model, *arguments)

    return run


def same(left: Embeddings, right: Embeddings) -> bool:
    return left.items.equals(right.items) and np.array_equal(left.vectors, right.vectors)


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_shards_together_are_the_rows_of_one_process(embed, images: Path, count: int):
    embed(images, "-o", "one.parquet")
    receipts = []
    for number in range(1, count + 1):
        result = embed(images, "-o", "many", "--shard", f"{number}/{count}")
        assert f"xmir: note: shard {number} of {count}: " in result.stderr
        receipts += result.records()
    assert [Path(r["path"]).name for r in receipts] == [
        f"part-{number:06}.parquet" for number in range(1, count + 1)
    ]
    assert sum(receipt["rows"] for receipt in receipts) == COUNT - 1
    assert sum(receipt["skipped"] for receipt in receipts) == 2
    assert same(read_embeddings("one.parquet"), read_embeddings("many"))


def test_a_job_of_a_hundred_images_is_large_for_every_shard(embed, images: Path):
    for number in range(100, 200):
        pixels = np.random.default_rng(number).integers(0, 256, (36, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(images.parent / f"{number}.png")
    embed(images.parent, "-o", "one.parquet", "--batch", 8)
    for number in (1, 2, 3):
        result = embed(images.parent, "-o", "many", "--batch", 8, "--shard", f"{number}/3")
        assert result.code in {0, 3}, result.stderr
    assert same(read_embeddings("one.parquet"), read_embeddings("many"))


def test_feature_maps_and_empty_shards_go_together(embed, images: Path):
    embed(images, "-o", "one.parquet", "--features")
    for number in range(1, 9):
        assert embed(images, "-o", "many", "--features", "--shard", f"{number}/8").code in {0, 3}
    one, many = read_embeddings("one.parquet"), read_embeddings("many")
    assert same(one, many)
    maps = [np.concatenate(list(each.features.blocks())) for each in (one, many)]
    assert np.array_equal(*maps)


def test_each_image_is_skipped_by_one_shard(embed, images: Path):
    results = [embed(images, "-o", "many", "--shard", f"{n}/3", "--skips", "s.jsonl")
               for n in (1, 2, 3)]  # fmt: skip
    assert [result.code for result in results] == [3, 0, 3]
    assert "skipped 3.png: empty" in results[0].stderr
    assert "skipped 1.png: duplicate-id" in results[2].stderr
    lines = [line for n in (1, 3) for line in Path(f"s-00000{n}.jsonl").read_text().splitlines()]
    listed = [json.loads(line) for line in lines]
    assert [skip["code"] for skip in listed] == ["empty", "duplicate-id"]


def test_a_shard_of_which_no_image_can_be_used_is_there_all_the_same(embed, images: Path):
    for number in (0, 1):
        (images.parent / f"{number}.png").write_bytes(b"")
    result = embed(images, "-o", "many", "--shard", "1/6")
    assert (result.code, result.records()[0]["rows"]) == (3, 0)
    for number in range(2, 7):
        embed(images, "-o", "many", "--shard", f"{number}/6")
    embed(images, "-o", "one.parquet")
    assert same(read_embeddings("one.parquet"), read_embeddings("many"))


def test_ranks_take_their_shards_and_say_so(embed, images: Path):
    embed(images, "-o", "one.parquet")
    for rank in (0, 1):
        result = embed(images, "-o", "many", environment={"RANK": rank, "WORLD_SIZE": 2})
        assert f"xmir: note: shard {rank + 1} of 2 (RANK): images " in result.stderr
    assert same(read_embeddings("one.parquet"), read_embeddings("many"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-o", "a.parquet"],
            "--output a.parquet: this is shard 2 of 2 (RANK), and shards need a folder",
        ),
        ([], "this is shard 2 of 2 (RANK), and shards need a folder: -o FOLDER"),
        (["-o", "-"], "this is shard 2 of 2 (RANK), and shards need a folder: -o FOLDER"),
        (
            ["-o", "a", "--file-format", "arrow"],
            "this is shard 2 of 2 (RANK), and shards are Parquet: no --file-format",
        ),
        (["-o", "data"], "--output data: is an input, too"),
        (["-o", "a", "--shard", "3/2"], "--shard 3/2: expected I/N, the I-th of N, such as 1/4"),
    ],
)
def test_what_shards_cannot_share_is_refused_in_one_line(embed, images: Path, arguments, line):
    source = "data" if "data" in arguments else images
    result = embed(source, *arguments, environment={"RANK": 1, "WORLD_SIZE": 2})
    assert result.code == 2
    assert result.stderr.splitlines()[0] == f"xmir: error: {line}"
    assert not Path("a").exists()


def test_one_file_where_a_folder_is_and_a_folder_where_a_file_is(embed, images: Path):
    Path("there").mkdir()
    assert embed(images, "-o", "there", "--force").code == 5
    Path("file").touch()
    result = embed(images, "-o", "file", "--shard", "1/2", "--force")
    assert (result.code, "shards need a folder" in result.stderr) == (2, True)


def test_missing_shards_are_named_by_who_reads_them_and_by_info(embed, xmir, images: Path):
    embed(images, "-o", "many", "--shard", "2/3")
    result = xmir("index", "many", "-o", "a.xmir")
    assert result.code == 5
    assert result.stderr.splitlines()[0] == (
        "xmir: error: many: 2 of its 3 shards are missing: 1, 3"
    )
    (about,) = xmir("info", "many").records()
    assert (about["shards"], about["missing"]) == (3, [1, 3])
    told = "xmir: warning: many: 2 of its 3 shards are missing: 1, 3\n"
    assert xmir("info", "many").stderr == told
    (about,) = xmir("info", "many/part-000002.parquet").records()
    assert about["shard"] == "2/3"


def test_a_receipt_of_one_shard_does_not_stand_for_all(embed, xmir, images: Path):
    receipt = embed(images, "-o", "many", "--shard", "2/3").stdout
    result = xmir("index", "-", "-o", "a.xmir", stdin=receipt)
    assert result.code == 5
    assert result.stderr.splitlines() == [
        "xmir: error: standard input: many/part-000002.parquet is shard 2/3 alone",
        "xmir: hint: Name their folder: many",
    ]


def test_a_finished_shard_is_kept_and_made_again_to_the_same_bytes(embed, images: Path):
    embed(images, "-o", "many", "--shard", "1/2")
    part = Path("many/part-000001.parquet")
    before = part.read_bytes()
    assert embed(images, "-o", "many", "--shard", "1/2").code == 7
    for flag in ("--resume", "--force"):
        result = embed(images, "-o", "many", "--shard", "1/2", flag)
        assert (result.code, part.read_bytes() == before) == (3, True)


def test_an_unfinished_shard_goes_on(embed, images: Path, monkeypatch: pytest.MonkeyPatch):
    embed(images, "-o", "other", "--shard", "1/2")
    with monkeypatch.context() as patched:  # as if killed after its last part
        patched.setattr(parts_module, "PART_SECONDS", 0.0)
        patched.setattr(parts_module.Parts, "remove", lambda _: None)
        embed(images, "-o", "many", "--shard", "1/2")
    Path("many/part-000001.parquet").unlink()
    assert len(list(Path("many/part-000001.parquet.parts").iterdir())) == 3
    assert embed(images, "-o", "many", "--shard", "1/2").code == 7
    result = embed(images, "-o", "many", "--shard", "1/2", "--resume")
    assert "5 images of this model are there already" in result.stderr
    assert sorted(path.name for path in Path("many").iterdir()) == ["part-000001.parquet"]
    assert Path("many/part-000001.parquet").read_bytes() == (
        Path("other/part-000001.parquet").read_bytes()
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--shard", "2/3"], "is one of 2 shards, and this is one of 3"),
        (["--shard", "2/2", "--head", 3], "is of another model"),
        (["--shard", "2/2", "--precision", "bf16"], "was made otherwise (precision)"),
        (["--shard", "2/2", "--batch", 4], "is of another list of images, or of other settings"),
        (["--shard", "2/2", "--features"], "is of another list of images, or of other settings"),
        (
            ["--shard", "2/2", "--where", "label=a"],
            "is of another list of images, or of other settings",
        ),
    ],
)
def test_a_folder_of_another_job_is_refused(embed, images: Path, arguments: list, reason: str):
    embed(images, "-o", "many", "--shard", "1/2")
    for more in ([], ["--resume"]):
        result = embed(images, "-o", "many", *arguments, *more)
        assert result.code == 7
        assert result.stderr.splitlines() == [
            f"xmir: error: many/part-000001.parquet: {reason}",
            "xmir: hint: Name another folder, or start again with --force.",
        ]
    assert embed(images, "-o", "many", *arguments, "--force").code in {0, 3}


def test_a_task_of_an_array_that_is_submitted_again_alone_is_told_what_to_do(embed, images: Path):
    embed(images, "-o", "many", "--shard", "1/3")
    alone = {"SLURM_ARRAY_TASK_ID": 1, "SLURM_ARRAY_TASK_MIN": 1, "SLURM_ARRAY_TASK_COUNT": 1}
    result = embed(images, "-o", "many", "--resume", environment=alone)
    assert result.stderr.splitlines() == [
        "xmir: error: many: a folder, so it is not replaced",
        "xmir: hint: Task 1 is alone in its array: say by --shard which one of how many it is.",
    ]
    assert (
        "shard 2 of 3: " in embed(images, "-o", "many", "--shard", "2/3", environment=alone).stderr
    )
    some = {**alone, "SLURM_ARRAY_TASK_COUNT": 2}
    assert embed(images, "-o", "many", "--resume", environment=some).stderr.splitlines() == [
        "xmir: error: many/part-000001.parquet: is one of 3 shards, and this is one of 2",
        (
            "xmir: hint: Say by --shard which of the 3 this is, such as 1/3. "
            "Name another folder, or start again with --force."
        ),
    ]
    assert embed(images, "-o", "e.parquet", environment=alone).stderr.splitlines()[0] == (
        "xmir: note: task 1 is alone in its array and does all images; "
        "where it is one of several, say by --shard which"
    )


def test_shards_that_met_by_force_are_no_table(embed, xmir, images: Path):
    embed(images, "-o", "many", "--shard", "1/2")
    embed(images, "-o", "many", "--shard", "2/2", "--batch", 4, "--force")
    result = xmir("index", "many", "-o", "a.xmir")
    assert result.code == 5
    assert "shard 2/2 of another job, beside part-000001.parquet, shard 1/2" in result.stderr


def test_a_manifest_edited_between_two_shards_is_another_list(embed, images: Path):
    embed(images, "-o", "many", "--shard", "1/2")
    images.write_text(images.read_text().replace("10.png,a", "10.png,b"))
    assert embed(images, "-o", "many", "--shard", "2/2").code == 7


def test_each_rank_of_a_host_has_a_device_of_its_own(images: Path, monkeypatch, tiny_arch: str):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    asked = {"images": [str(images)], "architecture": tiny_arch, "output": Path("many")}
    found = [story._device(story.Embed(**asked, device=name)) for name in ("auto", "cuda", "cpu")]
    assert found == ["cuda:1", "cuda:1", "cpu"]
    assert story._device(story.Embed(**asked, device="cuda:0")) == "cuda:0"


def test_text_columns_that_one_shard_alone_tells_come_out_right(embed, images: Path):
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8))
    smooth.resize((700, 600)).save(images.parent / "10.png", format="jpeg")
    embed(images, "-o", "one.parquet", "--fast-decode")
    for number in (1, 2):
        embed(images, "-o", "many", "--fast-decode", "--shard", f"{number}/2")
    assert "decoded" not in pq.read_schema("many/part-000001.parquet").names
    assert same(read_embeddings("one.parquet"), read_embeddings("many"))


@pytest.mark.slow
def test_torchrun_shares_a_job_and_a_skip_ends_no_other_rank(images: Path, tiny_arch: str):
    flags = ["--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "xmir_cli", "embed", str(images), *flags, "-o", "many"],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2, done.stderr
    assert read_embeddings("many").rows == COUNT - 1
    for told in ("skipped (1 empty)", "skipped (1 duplicate-id)"):  # neither ends the other
        assert told in done.stderr, done.stderr


@contextmanager
def another_run(output: Path, leaves: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Another run is on the output already; it ends in a second, and leaves something."""
    other = hold(output)
    other.__enter__()

    def end() -> None:
        leaves()
        other.__exit__(None, None, None)

    ends = threading.Timer(1, end)
    ends.start()
    yield
    ends.join()


@pytest.mark.parametrize("how", [(), ("--force",), ("--resume",)])
@pytest.mark.parametrize("output", [("one.parquet",), ("parts", "--shard", "1/2")])
def test_what_another_run_is_working_on_is_left_to_it(embed, images: Path, output, how):
    Path("parts").mkdir()
    file = Path("parts/part-000001.parquet" if "--shard" in output else "one.parquet")
    assert embed(images, "-o", *output).code in {0, 3}
    made = file.read_bytes()
    file.unlink()
    with another_run(file):
        result = embed(images, "-o", *output, *how)
    assert result.code in {0, 3}
    assert f"note: {file}: another run is working on it; this one waits" in result.stderr
    assert file.read_bytes() == made


@pytest.mark.parametrize("output", [("one.parquet",), ("parts", "--shard", "1/2")])
@pytest.mark.parametrize("left", ["finished", "other", "killed"])
def test_a_run_that_waited_goes_on_from_what_the_other_one_made(
    embed, images: Path, tmp_path: Path, output, left
):
    Path("parts").mkdir()
    file = Path("parts/part-000001.parquet" if "--shard" in output else "one.parquet")
    parts = file.with_name(f"{file.name}.parts")
    usual = embed(images, "-o", *output)
    made = file.read_bytes()
    rows = read_embeddings(str(file)).rows if output[1:] == () else pq.read_metadata(file).num_rows
    if left == "other":
        embed(images, "-o", *output, "--force", "--input-size", "24")
    other = tmp_path / "other"
    file.rename(other)

    def leaves() -> None:
        if left == "killed":
            other.rename(parts / "part-000001.parquet")
        else:
            other.rename(file)

    if left == "killed":
        parts.mkdir()  # there already when the second run is asked for
    with another_run(file, leaves):
        result = embed(images, "-o", *output)
    if left == "other" and "--shard" in output:  # as ever in a folder that shards share
        assert result.code == 7
        assert "is of another model" in result.stderr
        return
    assert result.code == usual.code
    known = 0 if left == "other" else rows
    assert f"note: {known} images of this model are there already" in result.stderr
    assert file.read_bytes() == made
    assert not parts.exists()


def test_what_to_do_about_parts_that_are_not_whole_is_said(embed, xmir, images: Path):
    begun = Path("begun")
    (begun / "part-000001.parquet.parts").mkdir(parents=True)
    for command in (("info", "begun"), ("index", "begun", "-o", "a.xmir")):
        told, hint = xmir(*command).stderr.splitlines()
        assert told == "xmir: error: begun: none of its shards is finished"
        assert hint.startswith("xmir: hint: Run the 'xmir embed' that makes it again")
    for number in (1, 2):
        embed(images, "-o", "parts", "--shard", f"{number}/2")
    first, second = sorted(Path("parts").iterdir())
    whole = second.read_bytes()
    second.write_bytes(whole[:-9])
    told, hint = xmir("index", "parts", "-o", "a.xmir").stderr.splitlines()
    assert told == f"xmir: error: {second}: damaged or not a Parquet file"
    assert hint.startswith("xmir: hint: Run the 'xmir embed' that makes it again")
    assert embed(images, "-o", "parts", "--shard", "2/2", "--resume").code == 3
    assert second.read_bytes() == whole
    second.with_name("part-000009.parquet").write_bytes(first.read_bytes())
    told, hint = xmir("index", "parts", "-o", "a.xmir").stderr.splitlines()
    assert told.endswith("part-000009.parquet: shard 1/2, which part-000001.parquet is, too")
    assert hint == "xmir: hint: Keep one of them, as part-000001.parquet."
