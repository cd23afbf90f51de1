"""`xmir train` as several ranks: what one process gives, said and written by one of them.

The ranks are started as torchrun starts them, by environment variables and with a store that is
kept for them; the last test is with torchrun itself.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from tests.commands.test_train import beside_plan, rows_of, write_pictures, write_table
from xmir_cli.store.checkpoint import read_tensors

PASSING = {"seconds", "images_per_second", "path", "sha256"}
STATE = "out.safetensors.state.safetensors"
GO_ON = "continue with --resume"
# two steps an epoch, so small that no ranking changes with the rounding of the weights
PLAIN = ("--sampler", "smallest", "--schedule", "constant", "--learning-rate", "1e-4")


@dataclass
class Started:
    """The ranks of a run, in their order."""

    processes: list[subprocess.Popen[str]]

    def end(self) -> list[tuple[int, str, str]]:
        """Exit code, output and messages of each."""
        both = [process.communicate(timeout=60) for process in self.processes]
        codes = [process.returncode for process in self.processes]
        return [(code, *texts) for code, texts in zip(codes, both, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stripes")
    sizes = {"train": 11, "val": 6}
    write_pictures(
        folder, {(label, split): n for label in ("lying", "standing") for split, n in sizes.items()}
    )
    return folder


@pytest.fixture
def stopping() -> str:
    return f"{Path(__file__).parents[1] / 'networks' / 'stopping.py'}:network"


@pytest.fixture
def start(folder, warm, tiny_arch, tmp_path) -> Callable[..., Started]:
    stores = []

    def run(size: int, *arguments: object, tables=("labels.csv",), stop="0:0:0") -> Started:
        environment = os.environ | {"STOP": stop, "WORLD_SIZE": str(size)}
        if size > 1:
            stores.append(dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))
            environment |= {
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(stores[-1].port),
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            }
        processes = [
            subprocess.Popen(
                [
                    *(warm / "bin" / "xmir", "train", folder / tables[rank % len(tables)]),
                    *("--arch", tiny_arch, "--weights", "random:0", "--head", "8"),
                    *("--per-class", "5", "--epochs", "2", "--device", "cpu", *PLAIN),
                    *("-o", "out.safetensors", *map(str, arguments)),
                ],
                env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for rank in range(size)
        ]  # fmt: skip
        return Started(processes)

    return run


def numbers(output: str) -> list[dict]:
    """The records without what passes."""
    records = map(json.loads, output.splitlines())
    return [
        {
            key: ", ".join(value) if isinstance(value, list) else value
            for key, value in record.items()
            if key not in PASSING
        }
        for record in records
    ]


def assert_alike(found: list[dict], expected: list[dict]) -> None:
    assert [list(record) for record in found] == [list(record) for record in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def take_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "out.safetensors"
    tensors, _ = read_tensors(path)
    path.unlink()
    assert not list(folder.glob("*.state.*"))
    return tensors


def assert_near(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.allclose(tensor.double(), expected[name].double(), rtol=0, atol=1e-5), name


@pytest.mark.parametrize(
    "flags",
    [
        ["--freeze-batchnorm", "--sampler", "all", "--schedule", "cosine", "--shift"],
        ["--freeze-batchnorm", "--random-resized-crop", "--attention-loss", "0.3"],
        ["--freeze-layers", "4"],
        [
            "--freeze-batchnorm",
            "--loss",
            "proxy-anchor",
            "--sampler",
            "all",
            "--keep",
            "best",
            "--patience",
            "1",
        ],
    ],
    ids=["default", "attention", "head alone", "proxies"],
)
def test_ranks_train_to_the_weights_and_records_of_one_process(start, tmp_path, flags):
    [(code, output, errors)] = start(1, *flags).end()
    said = beside_plan(errors)
    assert (code, "kept: epoch" in said or not said) == (0, True)
    expected = take_weights(tmp_path)
    for size in (2, 3):  # a batch of ten images has no equal parts for three
        first, *others = start(size, *flags).end()
        assert (first[0], beside_plan(first[2])) == (0, said)
        assert_alike(numbers(first[1]), numbers(output))
        assert_near(take_weights(tmp_path), expected)
        assert others == [(0, "", "")] * (size - 1)


@pytest.mark.parametrize("loss", ["triplet", "proxy-anchor"])
def test_ranks_train_images_with_several_labels_as_one_process_does(start, folder, tmp_path, loss):
    rows = rows_of(folder / "labels.csv")
    for place, row in enumerate(rows):
        row[1] += "|odd" if place % 3 == 0 else ""
    write_table(folder / "several.csv", rows)
    flags = ["--freeze-batchnorm", "--loss", loss, "--sampler", "all"]
    flags += ["--attention-loss", "0.3", "--per-class", "6"] if loss == "triplet" else []
    [(code, output, errors)] = start(1, *flags, tables=["several.csv"]).end()
    assert (code, errors.count("images have several labels")) == (0, 1)
    expected = take_weights(tmp_path)
    first, second = start(2, *flags, tables=["several.csv"]).end()
    assert (first[0], beside_plan(first[2])) == (0, beside_plan(errors))
    assert_alike(numbers(first[1]), numbers(output))
    assert_near(take_weights(tmp_path), expected)
    assert second == (0, "", "")


def test_only_the_first_prints_a_head_and_skips_and_draws(start, folder, tmp_path):
    table = (folder / "labels.csv").read_text()
    (folder / "broken.csv").write_text(f"{table}nowhere.png,lying,train,p\n")
    flags = ("--freeze-batchnorm", "--format", "csv", "--plot", "run.svg")
    first, second = start(2, *flags, tables=["broken.csv"]).end()
    assert first[0] == 3  # as ever
    assert first[1].splitlines()[0].startswith("epoch,loss,")
    assert first[2].count("skipped nowhere.png: ") == 1
    assert "22 trained on, 1 skipped" in first[2]
    assert ">Training of " in (figure := (tmp_path / "run.svg").read_text())
    assert ": 2 of 2 epochs<" in figure
    assert second == (0, "", "")  # torchrun would end the first one while it still writes


@pytest.mark.parametrize(
    ("sizes", "rank", "number"),
    [((1, 2), 0, signal.SIGINT), ((2, 1), 1, signal.SIGINT), ((3, 2), 0, signal.SIGTERM)],
)
def test_whichever_is_asked_to_end_all_end_after_the_step_and_others_go_on(
    start, tmp_path, stopping, sizes, rank, number
):
    flags = ["--arch", stopping, "--epochs", "3"]
    [(code, output, _)] = start(1, *flags).end()
    assert code == 0
    expected = take_weights(tmp_path)
    first, *others = start(sizes[0], *flags, stop=f"{rank}:3:{number}").end()
    assert (first[0], len(first[1].splitlines())) == (-number, 1)
    assert (
        beside_plan(first[2])
        == f"xmir: note: interrupted; what is done is kept in {STATE}: {GO_ON}\n"
    )
    assert others == [(-number, "", "")] * (sizes[0] - 1)
    second = start(sizes[1], *flags, "--resume").end()[0]
    assert second[0] == 0
    assert (
        beside_plan(second[2]) == "xmir: note: continuing: 1 of 3 epochs and 1 batches are done\n"
    )
    found = numbers(first[1] + second[1])
    losses = [[each.get("loss", 0) for each in each_run] for each_run in (found, numbers(output))]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)  # near ties may change places in mAP
    assert_near(take_weights(tmp_path), expected)


def test_a_rank_that_is_killed_ends_all_with_one_message(start, tmp_path, stopping):
    ranks = start(3, "--arch", stopping, stop=f"1:3:{signal.SIGKILL}")
    first, second, third = ranks.end()
    assert [first[0], second[0], third[0]] == [6, -signal.SIGKILL, 6]
    said = "xmir: error: another rank has ended, and with it the run\n"
    assert sorted([beside_plan(first[2]), third[2]]) == [
        "",
        f"{said}xmir: hint: Continue it with --resume.\n",
    ]
    assert (tmp_path / STATE).exists()  # of the first epoch


def test_a_network_that_drops_parts_at_random_is_said_to(start, stopping):
    dropping = stopping.replace(":network", ":dropping")
    first, second = start(2, "--arch", dropping).end()
    said = "xmir: note: the network drops parts at random: other ranks give other numbers\n"
    assert (first[0], beside_plan(first[2]), second[2]) == (0, said, "")


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        (["--no-such"], 2, "No such option: --no-such"),
        ([], 6, "batch norms on a CPU would see only a rank's part of each batch"),
        (["--device", "cpu:0"], 2, "--device: ranks take auto, cpu or cuda, found cpu:0"),
        (["--freeze-batchnorm", "--classes-per-batch", "2", "--per-class", "2",
          "--attention-loss", "1"], 5,
         "the attention loss has 1 triplets a batch, fewer than 2 ranks"),
    ],
)  # fmt: skip
def test_what_goes_wrong_on_every_rank_is_said_once(start, flags, code, error):
    ended = start(2, *flags).end()
    assert [found for found, _, _ in ended] == [code] * 2
    messages = "".join(messages for _, _, messages in ended)
    assert messages.count("xmir: error: ") == 1
    assert f"xmir: error: {error}" in messages


def test_more_ranks_than_images_in_a_batch_are_refused(start):
    ended = start(3, "--freeze-batchnorm", "--per-class", "2", "--classes-per-batch", "2").end()
    assert [code for code, _, _ in ended] == [0] * 3
    ended = start(5, "--freeze-batchnorm", "--per-class", "2", "--force").end()
    assert [code for code, _, _ in ended] == [5] * 5
    said = [messages for _, _, messages in ended if messages]
    hint = "xmir: hint: Raise --per-class, or start fewer ranks.\n"
    assert said == [f"xmir: error: a batch has 4 images, fewer than 5 ranks\n{hint}"]


def test_ranks_that_see_other_files_do_not_train(start, folder):
    table = (folder / "labels.csv").read_text().splitlines(keepends=True)
    (folder / "shorter.csv").write_text("".join(table[:-1]))
    ended = start(2, "--freeze-batchnorm", tables=["labels.csv", "shorter.csv"]).end()
    messages = "".join(messages for _, _, messages in ended)
    assert "xmir: error: the ranks have different " in messages
    assert messages.count("xmir: error: ") == 1
    assert all(code for code, _, _ in ended)


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"RANK": "1"}, "RANK is set, WORLD_SIZE is not"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is set, RANK is not"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "RANK is set, MASTER_ADDR is not"),
    ],
)
def test_half_of_what_torchrun_tells_is_refused(
    xmir, folder, tiny_arch, monkeypatch, environment, error
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = xmir("train", folder / "labels.csv", "--arch", tiny_arch, "-o", "out.safetensors")
    assert done.code == 2
    assert done.stderr == (
        f"xmir: error: {error}\n"
        "xmir: hint: Start the ranks with torchrun, or unset RANK and WORLD_SIZE to run one "
        "process.\n"
    )


@pytest.mark.slow
def test_torchrun_starts_the_ranks(start, folder, tiny_arch, tmp_path):
    [(_, output, _)] = start(1, "--freeze-batchnorm").end()
    expected = take_weights(tmp_path)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [
            *(*launcher, "--nproc-per-node", "2", "-m", "xmir_cli", "train", folder / "labels.csv"),
            *("--arch", tiny_arch, "--weights", "random:0", "--head", "8", "--freeze-batchnorm"),
            *("--per-class", "5", "--epochs", "2", "--device", "cpu", "-o", "out.safetensors"),
            *PLAIN,
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "xmir" not in beside_plan(done.stderr)
    assert_alike(numbers(done.stdout), numbers(output))
    assert_near(take_weights(tmp_path), expected)
