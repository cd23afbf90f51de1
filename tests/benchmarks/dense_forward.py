"""The forward pass alone: eager, eager with channels last, and xmir's, as images a second.

The networks have random weights. GFLOP/s count every multiplication and addition of the network as
it is written down, xmir's too, which leaves some out; the peak is that of a matrix product in the
same round. glibc is told to keep freed memory, for every contestant.
"""

import copy
import statistics
from collections.abc import Callable

import torch
from timing import arguments, chart, difference, rounds, table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder, unit
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.program.workers import share_out

EAGER, LAST, OURS, PEAK = "eager", "eager, channels last", "xmir", "matrix product"
SIDE = 2048  # of the matrices
MANY = 1000  # images of the job that these are of


@torch.no_grad()
def eager(network: nn.Module, images: Tensor, layout: torch.memory_format) -> Tensor:
    return unit(network(images.contiguous(memory_format=layout)))


def multiply(matrix: Tensor, count: int) -> Tensor:
    """As the forward pass does it: a thread a processor, each with its own product."""
    return share_out(lambda _: matrix @ matrix, range(count))[-1]


def flops(network: nn.Module, image: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return int(counter.get_total_flops())


def measure(embedder: Embedder, count: int, number: int) -> tuple[dict[str, list[float]], dict]:
    images = torch.randn(count, 3, embedder.size, embedder.size)
    last = embedder.network
    plain = copy.deepcopy(last).to(memory_format=torch.contiguous_format)
    matrix, products = torch.randn(SIDE, SIDE), 2 * torch.get_num_threads()
    embedder.embed(images, MANY)  # xmir folds the network once
    contestants: dict[str, Callable[[], Tensor]] = {
        EAGER: lambda: eager(plain, images, torch.contiguous_format),
        LAST: lambda: eager(last, images, torch.channels_last),
        OURS: lambda: embedder.embed(images, MANY),
        PEAK: lambda: multiply(matrix, products),
    }
    times = rounds(contestants, number)
    peak = 2 * SIDE**3 * products / statistics.median(times.pop(PEAK)) / 1e9
    work, notes = flops(plain, images[:1]), {}
    for name, seconds in times.items():
        rate = count / statistics.median(seconds)
        share = rate * work / 1e9 / peak
        far = difference(times.results[name], times.results[EAGER])
        notes[name] = f"{rate:5.1f} images/s, {share:4.0%} of {peak:.0f} GFLOP/s, within {far:.0e}"
    return times, notes


def main() -> None:
    given = arguments(__doc__.splitlines()[0])
    names = ["resnet18"] if given.quick else ["densenet121", "resnet50", "efficientnet_b0"]
    for name in names:
        spec = resolve_model(
            ModelChoice(
                architecture=name, weights="random:0", input_size=32 if given.quick else 224
            )
        )
        times, notes = measure(load_embedder(spec, "cpu"), 16, given.rounds)
        title = f"{name}, 16 images at once"
        table(title, times, EAGER, notes)
        if given.chart:
            chart(given.chart.with_stem(f"{given.chart.stem}-{name}"), title, times, EAGER)


if __name__ == "__main__":
    main()
