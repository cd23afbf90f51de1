"""Conduct at the edge: what a real shell sees of readers that leave, full disks and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHELL = shutil.which("bash") or "bash"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, tiny_arch, warm):
    """A folder with six images, and their index made by the real commands."""
    folder = tmp_path_factory.mktemp("pipes")
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    done = shell(
        f"xmir embed *.png --arch {tiny_arch} --weights random:0 --device cpu -o g.parquet"
        " >/dev/null && xmir index g.parquet -o g.xmir >/dev/null",
        folder,
        warm,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def shell(script: str, folder: Path, warm: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `script` in bash with pipefail, as the README's users do, or with commands of `warm`."""
    program = f"{sys.executable} -m xmir_cli" if warm is None else warm / "bin" / "xmir"
    launcher = f'xmir() {{ {program} "$@"; }}; set -o pipefail; '
    return subprocess.run(
        [SHELL, "-c", launcher + script], cwd=folder, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_a_reader_that_leaves_ends_the_writer_quietly_with_141(gallery):
    done = shell(
        'xmir query --all --format jsonl | head -1 > /dev/null; echo "${PIPESTATUS[0]}"', gallery
    )
    assert done.stderr == ""
    # a short answer may fit the pipe before head leaves
    assert done.stdout.strip() in {"141", "0"}
    done = shell("(sleep 1; xmir query --all; echo $? >&2) | true", gallery)
    assert done.stderr.strip() == "141"


@pytest.mark.parametrize(
    ("method", "warnings", "real"),
    [
        ("random", [], True),
        ("uniform", ["xmir: warning: 2 of 4 maps have ties"], False),  # all of it is a tie
    ],
)
def test_the_whole_pipe_ends_well_under_pipefail(gallery, warm, method, warnings, real):
    done = shell(
        "xmir query 0.png --top 2 --device cpu"
        f" | xmir saliency --method activation,{method} --device cpu"
        " | xmir causal-metric --curve-steps 4 --device cpu",
        gallery,
        None if real else warm,
    )
    assert done.returncode == 0
    assert [line.partition(" whose")[0] for line in done.stderr.splitlines()] == warnings
    assert done.stdout.count('"schema": "xmir.causal/1"') == 4


def test_an_upstream_failure_is_never_a_success(gallery, warm):
    done = shell("xmir query nowhere.png | xmir saliency | xmir causal-metric", gallery, warm)
    assert done.returncode == 5
    assert "no records on standard input" in done.stderr
    assert "Traceback" not in done.stderr


ASK = "xmir query --all --top 6"
MAPS = "xmir saliency --method activation --device cpu"
SCORES = "xmir causal-metric --curve-steps 1 --device cpu"


@pytest.mark.parametrize("stages", [(ASK, MAPS), (ASK, MAPS, SCORES)], ids=len)
def test_head_1_ends_every_stage_quietly(gallery, warm, stages):
    script = f"{' | '.join(stages)} | head -1; echo ${{PIPESTATUS[*]}}"
    done = shell(script, gallery, None if SCORES in stages else warm)
    record, codes = done.stdout.splitlines()
    assert record.startswith('{"schema": "xmir.')
    assert set(codes.split()) <= {"0", "141"}
    assert codes.split()[-2] == "141"
    assert done.stderr == ""


@pytest.mark.parametrize("stages", [(ASK, "false", SCORES), (f"{ASK} -i gone.xmir", MAPS, SCORES)])
def test_a_stage_that_dies_is_seen_by_pipefail(gallery, warm, stages):
    done = shell(" | ".join(stages), gallery, warm)
    assert done.returncode == 5
    assert "no records on standard input" in done.stderr


def test_a_stage_that_is_killed_is_seen_by_pipefail(gallery, warm):
    killed = f"bash -c 'head -3; kill -9 $$' | {MAPS}"
    done = shell(f"{ASK} | {killed} | {SCORES}; echo ${{PIPESTATUS[*]}}", gallery, warm)
    assert done.stdout.splitlines()[-1].split()[1:] == ["137", "0", "0"]
    assert done.stdout.count("xmir.causal/1") == 3  # of the records that arrived


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_pipe_takes_no_more_memory_than_a_short_one():
    """tests/torture/pipe.py does it with 100,000 records."""
    script = Path(__file__).parent / "torture" / "pipe.py"
    done = subprocess.run(
        [sys.executable, script, "--records", "800", "--json"], capture_output=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["codes"] == [0, 0, 0]
    assert max(result["growth"].values()) < 10  # megabytes from the first tenth to the end


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("buffering", ["", "PYTHONUNBUFFERED=1 "])
def test_a_full_disk_behind_stdout_is_one_clear_line(gallery, buffering):
    done = shell(f"export {buffering} NO=1; xmir query --id 0.png > /dev/full", gallery)
    assert done.returncode == 5
    assert done.stderr == "xmir: error: standard output: no space left on device\n"


def test_a_closed_stdout_is_told_and_never_a_success(gallery):
    done = shell("xmir query --id 0.png >&-", gallery)
    assert done.returncode == 5
    assert done.stderr == "xmir: error: standard output is closed\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
def test_a_lost_stderr_changes_no_exit_code(gallery, stderr):
    done = shell(f"xmir query --id nobody {stderr}", gallery)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_closed_stdin_is_told(gallery):
    done = shell("xmir saliency <&-", gallery)
    assert done.returncode == 5
    assert done.stderr == "xmir: error: standard input is closed\n"


def test_ctrl_c_and_its_like_end_quietly_as_killed_by_the_signal(gallery):
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    waiting = [
        subprocess.Popen(
            [sys.executable, "-m", "xmir_cli", "saliency"], cwd=gallery, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # a check run in the background of a script inherits Ctrl-C ignored
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in numbers],
        )
        for _ in numbers
    ]  # fmt: skip
    time.sleep(2)
    for number, process in zip(numbers, waiting, strict=True):
        process.send_signal(number)
    for number, process in zip(numbers, waiting, strict=True):
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (-number, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_whose_libraries_are_being_loaded(gallery, number: int):
    loading = (
        "import importlib, os, signal, sys\n"
        "load = importlib.import_module\n"
        "def native(name, package=None):\n"  # what C++ does when a handler raises below it
        "    if name.startswith('xmir_cli.stories'):\n"
        "        try:\n"
        f"            os.kill(os.getpid(), {number})\n"
        "        except KeyboardInterrupt:\n"
        "            os.abort()\n"
        "    return load(name, package)\n"
        "importlib.import_module = native\n"
        "for each in (1, 2, 15):\n"
        "    signal.signal(each, signal.SIG_DFL)\n"
        "from xmir_cli.main import run\n"
        "run(['saliency'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", loading], cwd=gallery, capture_output=True, text=True, input=""
    )
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


def test_no_color_is_respected_and_pipes_carry_no_escapes(gallery):
    done = shell("xmir query --id 0.png --format table; xmir query --bad", gallery)
    assert "\x1b" not in done.stdout + done.stderr
