"""Training: xmir's step beside forward and backward alone, its loss beside pytorch-metric-learning.

    python tests/benchmarks/training.py

An epoch is four batches of three classes with DenseNet-121 and random weights, from grey PNGs of
512 x 512 pixels; without random views, so that all contestants see the same pictures. The plain
script reads its files, trains in torch's usual memory layout and takes pytorch-metric-learning's
loss; only the first contestant has its batch ready and hardly any loss. Processor seconds are shown
beside the clock's: on a shared machine they say more, and they leave out nobody's threads.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `xmir` at its start; torch reads it once

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import Times, arguments, chart, difference, need, rounds, table
from torch import Tensor, nn
from torchvision.transforms import v2

from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures.files import read_picture
from xmir_cli.pictures.view import resize_picture
from xmir_cli.training.examples import Example
from xmir_cli.training.feed import Feed
from xmir_cli.training.loop import Trainer
from xmir_cli.training.losses.triplet import triplet_loss
from xmir_cli.training.pictures import Pictures
from xmir_cli.training.recipe import Augmentation, Settings
from xmir_cli.training.sampler import epoch_batches

CLASSES, BATCHES, ALONE, PML = 3, 4, "forward, backward, Adam alone", "pytorch-metric-learning"


def draw(folder: Path, count: int, side: int) -> list[Example]:
    """Grey noise of `count` pictures a class."""
    generator, examples = np.random.default_rng(0), []
    for number in range(CLASSES * count):
        path = folder / f"{number:04}.png"
        coarse = Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(path)
        examples.append(Example(path.name, str(path), str(number % CLASSES)))
    return examples


class Alone:
    """What no training can do without, on a batch that is always the same."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.network = network.train()
        self.images = images.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def __call__(self) -> None:
        for _ in range(BATCHES):
            self.optimizer.zero_grad()
            self.network(self.images).mean().backward()
            self.optimizer.step()


class Plain:
    """An epoch as a script's author writes it down."""

    def __init__(self, network: nn.Module, examples: list[Example], size: int, each: int) -> None:
        from pytorch_metric_learning.losses import TripletMarginLoss

        self.network = network.train().to(memory_format=torch.contiguous_format)
        self.examples, self.each, self.loss = examples, each, TripletMarginLoss(margin=0.2)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        steps = [v2.Resize(size * 256 // 224), v2.CenterCrop(size), v2.ToImage()]
        scale = [v2.ToDtype(torch.float32, scale=True)]
        norm = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        self.recipe = v2.Compose([*steps, *scale, norm])

    def __call__(self) -> float:
        labels, losses = [example.label for example in self.examples], []
        for batch in epoch_batches(labels, self.each, None, (0, 1)):
            opened = [Image.open(self.examples[place].path).convert("RGB") for place in batch]
            images = torch.stack([self.recipe(image) for image in opened])
            self.optimizer.zero_grad()
            loss = self.loss(self.network(images), torch.tensor([int(labels[p]) for p in batch]))
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))


def counted(call: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """The same call, its processor seconds noted."""

    def run() -> object:
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
        return result

    return run


def steps(given_rounds: int, quick: bool) -> tuple[Times, Times]:
    """An epoch of each contestant, by the clock and in processor seconds; all start alike."""
    each, side, size = (2, 64, 32) if quick else (4, 512, 224)
    spec = resolve_model(
        ModelChoice(architecture="densenet121", weights="random:0", input_size=size)
    )
    embedder, other, third = (load_embedder(spec, "cpu") for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        examples = draw(Path(folder), each * BATCHES, side)
        pictures = Pictures(lambda path: resize_picture(read_picture(path), embedder.recipe))
        settings = Settings(per_class=each, augmentation=Augmentation(flip=False))
        trainer = Trainer(Feed(embedder, pictures, None), settings)
        contestants = {
            ALONE: Alone(other.network, torch.randn(CLASSES * each, 3, size, size)),
            "xmir train": lambda: trainer.epoch(1, examples).loss,
            "plain script": Plain(third.network, examples, size, each),
        }
        spent = Times(list(contestants))
        noted = {name: counted(call, spent[name]) for name, call in contestants.items()}
        return rounds(noted, given_rounds), spent


def losses(given_rounds: int, classes: int, each: int, length: int) -> Times:
    """Value and gradient [1 + B * D] of the loss of one batch, ten times over."""
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    start = torch.randn(classes * each, length, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(classes).repeat_interleave(each)
    theirs, miner = TripletMarginLoss(margin=0.2), TripletMarginMiner(margin=0.2)

    def repeat(loss) -> Tensor:
        for _ in range(10):
            raw = start.clone().requires_grad_()
            value = loss(raw)
            value.backward()
        return torch.cat([value.detach()[None], raw.grad.flatten()])

    contestants = {
        "xmir": lambda: repeat(lambda raw: triplet_loss(raw, labels).value),
        PML: lambda: repeat(lambda raw: theirs(raw, labels)),
        "the same, mined": lambda: repeat(lambda raw: theirs(raw, labels, miner(raw, labels))),
    }
    return rounds(contestants, given_rounds)


def main() -> None:
    need(pytorch_metric_learning="pip install pytorch-metric-learning")
    given = arguments(__doc__.splitlines()[0], 3)
    for classes, each, length in ((3, 16, 1024), (16, 16, 256)):
        times = losses(given.rounds, classes, each, length)
        apart = {name: difference(times.results[name], times.results[PML]) for name in times}
        notes = {name: f"loss and gradient equal within {apart[name]:.0e}" for name in times}
        title = f"Triplet loss, {classes} x {each} of {length} dimensions, 10 times"
        table(title, times, PML, notes)
    times, spent = steps(given.rounds, given.quick)
    notes = {name: f"loss {loss:.4f}" for name, loss in times.results.items() if name != ALONE}
    table("Training, an epoch of 4 batches", times, ALONE, notes)
    title = "Training, an epoch of 4 batches, processor seconds"
    table(title, spent, ALONE)
    if given.chart:
        chart(given.chart, title, spent, ALONE)


if __name__ == "__main__":
    main()
