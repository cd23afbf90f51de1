"""What ranks share; on a GPU, batch norms that count all ranks' images.

That several processes train as one is tested at the front door: tests/commands/test_train_ranks.py.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.launch import Launch, find_launch
from xmir_cli.model.loader import load_embedder
from xmir_cli.training.attention import draw_triplets
from xmir_cli.training.feed import Feed
from xmir_cli.training.loop import Trainer
from xmir_cli.training.meeting import meeting, rank_device
from xmir_cli.training.pictures import Pictures
from xmir_cli.training.ranks import ALONE, Ranks
from xmir_cli.training.recipe import Settings
from xmir_cli.wire.model import ModelSpec, Preprocessing

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_alone_everything_is_ones_own():
    rows = torch.arange(12.0).view(4, 3)
    assert list(ALONE.own([1, 2, 3])) == [1, 2, 3]
    assert list(ALONE.merge(iter("ab"))) == ["a", "b"]
    assert ALONE.first(5) == 5
    assert ALONE.gather(rows, 4) is rows
    assert torch.equal(ALONE.fetch(rows, torch.tensor([2, 0])), rows[[2, 0]])
    assert ALONE.sum(rows) is not rows
    with meeting(Launch(), "cpu") as ranks, ranks.ending_together() as end_if_asked:
        assert ranks is ALONE
        end_if_asked()


def test_the_parts_of_a_batch_go_round():
    assert [list(Ranks(rank, 3).own("abcdefgh")) for rank in range(3)] == [
        ["a", "d", "g"],
        ["b", "e", "h"],
        ["c", "f"],
    ]


def test_a_rank_knows_its_place():
    assert find_launch({**TORCHRUN, "LOCAL_RANK": "3"}) == Launch(1, 4, 3)
    assert find_launch({"WORLD_SIZE": "1"}) == find_launch({}) == Launch()
    assert find_launch(TORCHRUN).follows
    assert not find_launch({**TORCHRUN, "RANK": "0"}).follows


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda:3"), (False, "cpu")])
def test_each_rank_takes_the_device_of_its_place_on_the_host(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert rank_device("auto", Launch(7, 8, 3)) == expected
    assert rank_device("auto", Launch()) == "auto"
    assert rank_device("cuda", Launch(7, 8, 3)) == "cuda:3"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(ModelError, match="more ranks on this host than CUDA devices, of which 3"):
        rank_device("cuda", Launch(7, 8, 3))
    with pytest.raises(SettingError, match="ranks take auto, cpu or cuda, found mps"):
        rank_device("mps", Launch(7, 8, 3))


def make_step(ranks: Ranks, gamma: float) -> dict[str, torch.Tensor]:
    """One step with batch norms in training; gradients and the state after it, on the CPU."""
    network = f"{Path(__file__).parents[1] / 'networks' / 'tiny.py'}:network"
    embedder = load_embedder(ModelSpec(network, "random:0", 8, Preprocessing(32, 32)), "cuda:0")
    feed = Feed(embedder, Pictures(lambda path: path), 1)
    trainer = Trainer(feed, Settings(attention_loss=gamma), ranks)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(13, 3, 32, 32, generator=generator), torch.arange(13) % 3
    triplets = draw_triplets(labels, np.random.default_rng(0)) if gamma else None
    numbers = trainer.step(images[ranks.rank :: ranks.size].cuda(), labels.cuda(), "here", triplets)
    weights = trainer.network.named_parameters()
    found = {f"gradient of {name}": weight.grad for name, weight in weights}
    found |= {name: value for name, value in trainer.network.named_buffers() if "running" in name}
    found["numbers"] = torch.tensor(numbers)
    return {name: value.cpu() for name, value in found.items()}


def work(rank: int, folder: Path, backend: str, gamma: float) -> None:
    """A rank of two."""
    torch.cuda.set_device(rank % torch.cuda.device_count())
    meeting_place = f"file://{folder}/meeting"
    dist.init_process_group(backend, init_method=meeting_place, rank=rank, world_size=2)
    found = make_step(Ranks(rank, 2), gamma)
    if rank == 0:
        torch.save(found, folder / "found.pt")
    dist.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_batch_norms_on_two_ranks_count_the_images_of_both(tmp_path, gamma):
    """Both on one device, which NCCL refuses: through gloo."""
    torch.multiprocessing.spawn(work, (tmp_path, "gloo", gamma), nprocs=2)
    found, expected = torch.load(tmp_path / "found.pt"), make_step(ALONE, gamma)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-3, atol=1e-5), name
