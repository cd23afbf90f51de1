"""`xmir embed --engine ray` on two nodes of this machine; `tests/run-extras.sh ray` runs it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

ray = pytest.importorskip("ray", reason="needs the extra ray")

from xmir_cli.embedding import parts as parts_module  # noqa: E402
from xmir_cli.stories import embed as story  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own
COUNT = 41
SLOW = """
import time
import torch
from torch import nn
from xmir_cli.model.architectures import Architecture
from xmir_cli.wire.model import Preprocessing

class Slow(nn.Module):
    def forward(self, images):
        time.sleep(PAUSE)
        return images

def network():
    torch.manual_seed(0)
    features = nn.Sequential(Slow(), nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU())
    recipe = Preprocessing(input_size=32, resize=32)
    return Architecture(features, channels=16, preprocessing=recipe)
"""
DRIVER = """
import sys
from xmir_cli import main
from xmir_cli.stories import embed
from xmir_cli.embedding import parts
embed.BATCHES = 1
parts.PART_SECONDS = 0.0
main.run(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator["ray.cluster_utils.Cluster"]:
    """A cluster of one node with a worker's room; tests add another."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 # as Ray spells it
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A table of pictures, of which one is empty, and two files of a network: a quick, a slow."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["path,label"]
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (36, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]}")
    (folder / "7.png").write_bytes(b"")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    for name, pause in (("quick", 0), ("slow", 0.15)):
        (tmp_path / f"{name}.py").write_text(SLOW.replace("PAUSE", str(pause)))
    return folder / "labels.csv"


def flags(network: str) -> tuple[object, ...]:
    return ("--arch", f"{network}.py:network", "--weights", "random:0", "--device", "cpu",
            "--batch", 2)  # fmt: skip


@pytest.fixture
def embed(xmir, monkeypatch: pytest.MonkeyPatch, nodes):
    """Run with slots of two images, by Ray where its engine is asked."""
    monkeypatch.setattr(story, "BATCHES", 1)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)

    def run(*arguments: object, network: str = "quick"):
        return xmir("embed", *flags(network), *arguments)

    return run


def test_ray_gives_the_bytes_of_one_process(embed, images: Path):
    alone = embed(images, "-o", "one.parquet", "--features", "--skips", "one.jsonl")
    by_ray = embed(
        images, "-o", "ray.parquet", "--features", "--skips", "ray.jsonl", "--engine", "ray"
    )
    assert (by_ray.code, by_ray.stderr) == (alone.code, alone.stderr)
    assert by_ray.code == 3
    assert Path("ray.parquet").read_bytes() == Path("one.parquet").read_bytes()
    assert Path("ray.jsonl").read_bytes() == Path("one.jsonl").read_bytes()
    again = embed(images, "-o", "ray.parquet", "--features", "--resume", "--engine", "ray")
    assert "xmir: note: 40 images of this model are there already" in again.stderr
    assert Path("ray.parquet").read_bytes() == Path("one.parquet").read_bytes()


def test_the_key_of_pseudonyms_reaches_the_workers_and_no_log_of_ray(
    embed, images: Path, nodes, monkeypatch: pytest.MonkeyPatch
):
    key = "SEKRETKEY0123456789"
    monkeypatch.setenv("XMIR_PATIENT_KEY", key)  # which the cluster was started without
    shutil.copy(get_testdata_file("CT_small.dcm"), "scan.dcm")
    alone = embed("scan.dcm", images, "-o", "one.parquet")
    by_ray = embed("scan.dcm", images, "-o", "ray.parquet", "--engine", "ray")
    assert (by_ray.code, by_ray.stderr) == (alone.code, alone.stderr)
    assert pq.read_table("ray.parquet")["patient"][0].as_py().startswith("hmac-")
    assert Path("ray.parquet").read_bytes() == Path("one.parquet").read_bytes()
    session = Path(nodes.head_node.get_session_dir_path())
    read = [path.read_bytes() for path in session.rglob("*") if path.is_file()]
    assert len(read) > 10
    assert not any(key.encode() in content for content in read)


def test_a_node_that_is_lost_costs_time_and_nothing_else(
    embed, images: Path, nodes, monkeypatch: pytest.MonkeyPatch
):
    embed(images, "-o", "one.parquet")
    nodes_before = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    add, calls = parts_module.Parts.add, []

    def watched(self, first, rows):
        calls.append(first)
        if len(calls) == 4:
            nodes.remove_node(nodes_before, allow_graceful=False)
        add(self, first, rows)

    monkeypatch.setattr(parts_module.Parts, "add", watched)
    result = embed(images, "-o", "ray.parquet", "--engine", "ray", network="slow")
    assert len(calls) == 21, result.stderr
    assert calls == sorted(calls)
    monkeypatch.setattr(parts_module.Parts, "add", add)
    embed(images, "-o", "slow.parquet", network="slow")
    assert Path("ray.parquet").read_bytes() == Path("slow.parquet").read_bytes()


def test_a_killed_driver_is_resumed_to_the_same_bytes(embed, images: Path, nodes):
    embed(images, "-o", "one.parquet", network="slow")
    command = [sys.executable, "-c", DRIVER, "embed", *map(str, flags("slow")), str(images)]
    environment = {**os.environ, "RAY_ADDRESS": nodes.address}
    with subprocess.Popen([*command, "-o", "a.parquet", "--engine", "ray"], env=environment) as run:
        parts = Path("a.parquet.parts")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(list(parts.glob("part-*"))) < 3:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert not Path("a.parquet").exists()
    result = embed(images, "-o", "a.parquet", "--resume", "--engine", "ray", network="slow")
    known = int(result.stderr.split("note: ")[1].split()[0])
    assert 4 <= known < COUNT
    assert Path("a.parquet").read_bytes() == Path("one.parquet").read_bytes()
    assert not parts.exists()


def test_what_ray_says_of_its_nodes_is_not_printed(
    embed, images: Path, monkeypatch: pytest.MonkeyPatch
):
    add, called = parts_module.Parts.add, []

    def watched(self, first, rows):
        if not called:
            client = ray._private.worker.global_worker.gcs_client
            ray._private.utils.publish_error_to_driver("died", "Raylet is dead", client)
            called.append(first)
            time.sleep(1)
        add(self, first, rows)

    monkeypatch.setattr(parts_module.Parts, "add", watched)
    result = embed(images, "-o", "a.parquet", "--engine", "ray")
    assert called
    assert len(result.records()) == 1, result.stdout
    assert "aylet" not in result.stdout + result.stderr


def test_the_address_of_a_client_of_ray_is_refused(
    xmir, images: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:9")
    result = xmir("embed", *flags("quick"), images, "-o", "a.parquet", "--engine", "ray")
    told, hint = result.stderr.splitlines()[:2]
    assert told.endswith("RAY_ADDRESS is that of a Ray client, ray://..., and Ray Data knows none")
    assert hint.startswith("xmir: hint: Join the cluster at HOST:PORT by 'ray start'")


def test_a_cluster_that_does_not_answer_is_said_at_once(xmir, images: Path):
    begun = time.monotonic()
    result = xmir(
        "embed", *flags("quick"), images, "-o", "a.parquet", "--engine", "ray://127.0.0.1:9"
    )
    assert result.code == 6
    assert result.stderr.startswith("xmir: error: Ray cannot be reached at 127.0.0.1:9: ")
    assert time.monotonic() - begun < 60


def test_what_a_worker_cannot_do_is_one_line(embed, images: Path, tmp_path: Path):
    broken = SLOW.replace("PAUSE", "0").replace("return images", "return images * float('nan')")
    (tmp_path / "broken.py").write_text(broken)
    result = embed(images, "-o", "a.parquet", "--engine", "ray", network="broken")
    assert result.code == 5
    assert result.stderr.startswith(
        f"xmir: error: {images.parent}/0.png: the network gave NaN or infinity; nothing was written"
    )
    assert not Path("a.parquet").exists()


def test_a_cluster_that_nobody_named_is_not_joined(embed, images: Path, nodes, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS")
    seen = []
    shutdown = ray.shutdown

    def watched() -> None:
        seen.append(ray.get_runtime_context().gcs_address)
        shutdown()

    monkeypatch.setattr(ray, "shutdown", watched)
    result = embed(images, "-o", "own.parquet", "--engine", "ray")
    assert seen
    assert nodes.address not in seen
    assert result.stderr.startswith(
        "xmir: note: a cluster of Ray was started on this machine for it, processors: "
    )
    alone = embed(images, "-o", "one.parquet")
    assert alone.code == result.code == 3
    assert Path("own.parquet").read_bytes() == Path("one.parquet").read_bytes()
