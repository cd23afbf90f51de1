"""Insertion and deletion of one map: RISE's loop, Quantus' PixelFlipping, and xmir.

The network is DenseNet-121 with random weights at 224 pixels; a curve has 28 steps. Quantus has no
insertion, and flips values, not pixels: 3 steps for one of the others'. Its time is scaled to as
many images as RISE's loop makes, so both rows say what an image costs. glibc is told to keep freed
memory, for every contestant.

Source of the loop: Petsiuk et al., RISE, BMVC 2018, CausalMetric.single_run, batch of one.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timing import Times, arguments, chart, difference, need, rounds, table
from torch import Tensor, nn
from torch.nn import functional

from xmir_cli.metrics.causal import Ends
from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model

LOOP, QUANTUS = "RISE's loop", "quantus, image by image"
OURS, TWO = "xmir", "xmir, one of two maps"
MAPS = 2
MANY = 1000  # of a job of so many maps


class Similarity(nn.Module):
    """A class score for tools that want one: the similarity to a fixed target, at class 0."""

    def __init__(self, network: nn.Module, target: Tensor) -> None:
        super().__init__()
        self.network, self.target = network, target

    def forward(self, images: Tensor) -> Tensor:
        unit = functional.normalize(self.network(images))
        return (unit @ self.target).clamp(0, 1)[:, None]


@torch.no_grad()
def loop(score: nn.Module, start: Tensor, final: Tensor, saliency: Tensor, step: int) -> np.ndarray:
    """One curve as RISE's single_run makes it: an image a step, changed in place."""
    steps = -(-saliency.numel() // step)
    order = np.flip(np.argsort(saliency.flatten().numpy(), kind="stable")).copy()
    now, curve = start[None].clone(), np.empty(steps + 1)
    for number in range(steps + 1):
        curve[number] = score(now)[0, 0].item()
        pixels = order[step * number : step * (number + 1)]
        now.view(3, -1)[:, pixels] = final.view(3, -1)[:, pixels]
    return curve


def both(score: nn.Module, ends: Ends, saliency: Tensor, step: int) -> np.ndarray:
    insertion = loop(score, ends.blurred, ends.intact, saliency, step)
    return np.stack([insertion, loop(score, ends.intact, ends.substrate, saliency, step)])


def flipping(score: nn.Module, image: Tensor, saliency: Tensor, step: int) -> np.ndarray:
    """Deletion after every step of `step` values, without the intact image.

    The map goes for all three channels, whose equal values fall together: every third point has
    whole pixels deleted.
    """
    import quantus

    metric = quantus.PixelFlipping(
        features_in_step=step,
        perturb_baseline=0.0,
        normalise=False,
        abs=False,
        disable_warnings=True,
        display_progressbar=False,
    )
    batch = image[None].numpy(), np.zeros(1, int), saliency[None, None].numpy()
    return np.asarray(metric(score, *batch, softmax=False, device="cpu")[0])


def curves(
    embedder: Embedder, target: Tensor, ends: Ends, maps: list[Tensor], protocol: Protocol
) -> np.ndarray:
    """Insertion and deletion [2, T + 1] of the first map."""
    embeddings = embedder.embed(torch.stack([ends.intact, ends.blurred, ends.substrate]))
    found = score_maps(embedder, target, (ends, embeddings), maps, protocol, MANY)[0]
    return np.stack([found.insertion.similarities, found.deletion.similarities])


def main() -> None:
    given = arguments(__doc__.splitlines()[0], 3)
    need(quantus="pip install quantus")
    importlib.import_module("quantus")  # takes long: before the clock runs
    size, protocol = (32, Protocol(steps=8)) if given.quick else (224, Protocol(steps=28))
    spec = resolve_model(
        ModelChoice(architecture="densenet121", weights="random:0", input_size=size)
    )
    embedder, eager = load_embedder(spec, "cpu"), load_embedder(spec, "cpu").network
    generator = torch.Generator().manual_seed(0)
    other, image = torch.randn(2, 3, size, size, generator=generator)
    maps = [torch.randn(size, size, generator=generator) for _ in range(MAPS)]
    target, ends, step = (
        embedder.embed(other[None])[0],
        protocol.ends(image),
        protocol.step(size, size),
    )
    score = Similarity(eager.to(memory_format=torch.contiguous_format), target).eval()
    contestants: dict[str, Callable[[], np.ndarray]] = {
        LOOP: lambda: both(score, ends, maps[0], step),
        QUANTUS: lambda: flipping(score, image, maps[0], step),
        OURS: lambda: curves(embedder, target, ends, maps[:1], protocol),
        TWO: lambda: curves(embedder, target, ends, maps, protocol),
    }
    times = rounds(contestants, given.rounds)
    report(times, given.chart)


def report(times: Times, place: Path | None) -> None:
    curve, flipped = np.asarray(times.results[LOOP]), np.asarray(times.results[QUANTUS])
    times[QUANTUS] = [seconds * curve.size / len(flipped) for seconds in times[QUANTUS]]
    times[TWO] = [seconds / MAPS for seconds in times[TWO]]
    equal = {name: difference(times.results[name], curve) for name in (OURS, TWO)}
    equal[QUANTUS] = difference(flipped[2::3], curve[1, 1:])
    notes = {name: f"equal within {found:.0e}" for name, found in equal.items()}
    title = "Insertion and deletion of a map"
    table(title, times, LOOP, notes)
    if place:
        chart(place, title, times, LOOP)


if __name__ == "__main__":
    main()
