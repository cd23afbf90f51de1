"""Occlusion saliency of one pair: xmir, captum, xaitk-saliency and the plain loop.

DenseNet-121 with random weights, its norms calibrated, 224 x 224 pixels, window 24; the score is
the cosine. What hides is 0 in model space. All work on one grid, but for xaitk's, which overhangs
the borders and so has a few windows more. Networks are loaded beforehand. glibc is told to keep
freed memory and threads not to spin, for every contestant but those `as shipped`, which run in a
process of its own: captum with 16 windows at once, and with one at a time, its default.

With --vit instead: ViT-S/16 of timm, random weights, beside a loop over the same hidden images that
were made beforehand: timm's own forward pass of 16 at a time, and the similarities.
"""

import argparse
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `xmir` at its start; torch reads it once
import torch
from timing import arguments, chart, difference, need, rounds, table
from torch import Tensor, nn

WINDOW = 24
BATCH = 16
CAPTUM = "captum, 16 at once"
VIT, LOOP = "vit_small_patch16_224", "timm's forward loop"


def attribute(
    network: nn.Module, query: Tensor, image: Tensor, stride: int, at_once: int = BATCH
) -> np.ndarray:
    """captum's map, one channel of it: all three are hidden together and so are alike."""
    from captum.attr import Occlusion

    def score(images: Tensor) -> Tensor:
        return torch.nn.functional.cosine_similarity(network(images), query[None])

    with torch.no_grad():
        found = Occlusion(score).attribute(
            image[None],
            sliding_window_shapes=(3, WINDOW, WINDOW),
            strides=(3, stride, stride),
            perturbations_per_eval=at_once,
        )
    return found[0, 0].numpy()


def loop(network: nn.Module, query: Tensor, image: Tensor, stride: int) -> np.ndarray:
    """What one would write down: hide, pass, compare, add up."""
    size = image.shape[-1]
    total, count = np.zeros((size, size)), np.zeros((size, size))
    starts = range(0, -(-(size - WINDOW) // stride) * stride + 1, stride)

    def score(picture: Tensor) -> float:
        with torch.inference_mode():
            return float(torch.nn.functional.cosine_similarity(network(picture[None]), query[None]))

    whole = score(image)
    for top in starts:
        for left in starts:
            hidden = image.clone()
            hidden[:, top : top + WINDOW, left : left + WINDOW] = 0
            total[top : top + WINDOW, left : left + WINDOW] += whole - score(hidden)
            count[top : top + WINDOW, left : left + WINDOW] += 1
    return total / count


def xaitk(network: nn.Module, query: Tensor, image: Tensor, stride: int) -> Callable[[], object]:
    """xaitk-saliency's SBSM over a batched descriptor."""
    from collections.abc import Iterable, Iterator
    from itertools import islice

    from smqtk_descriptors.interfaces.image_descriptor_generator import ImageDescriptorGenerator
    from xaitk_saliency.impls.gen_image_similarity_blackbox_sal.sbsm import SBSMStack

    class Descriptor(ImageDescriptorGenerator):
        def generate_arrays_from_images(
            self, img_mat_iter: Iterable[np.ndarray]
        ) -> Iterator[np.ndarray]:
            rest = iter(img_mat_iter)
            while part := list(islice(rest, BATCH)):
                stacked = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float()
                with torch.inference_mode():
                    yield from network(stacked).numpy()

        def get_config(self) -> dict[str, Any]:
            return {}

    sbsm = SBSMStack((WINDOW, WINDOW), (stride, stride), "cosine", fill=0)
    pictures = [each.permute(1, 2, 0).contiguous().numpy() for each in (image, query)]
    return lambda: sbsm.generate(pictures[0], [pictures[1]], Descriptor())


def serve(pipe: Connection, state: dict[str, Tensor]) -> None:
    """captum in a process where nobody has touched malloc: answers the rest of `attribute`."""
    import torchvision

    network = nn.Sequential(*_parts(torchvision.models.densenet121()))
    network.load_state_dict(state)
    network.eval()
    while (work := pipe.recv()) is not None:
        pipe.send(attribute(network, *work))


def _parts(network: Any) -> list[nn.Module]:
    return [network.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def plain_network(size: int) -> nn.Module:
    """torchvision's DenseNet-121 to the pooled features, its norms calibrated on noise."""
    import torchvision

    torch.manual_seed(0)
    network = nn.Sequential(*_parts(torchvision.models.densenet121())).train()
    with torch.no_grad():
        network(smooth(8, size))
        network(smooth(8, size))
    return network.eval()


def smooth(count: int, size: int) -> Tensor:
    """Pictures in model space without detail."""
    generator = torch.Generator().manual_seed(count)
    coarse = torch.randn(count, 3, 14, 14, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic")


def transformer(given: argparse.Namespace) -> None:
    """Print the table of one pair for ViT-S/16."""
    import timm

    from xmir_cli.model.choice import ModelChoice
    from xmir_cli.model.incremental import hide
    from xmir_cli.model.loader import load_embedder, resolve_model
    from xmir_cli.saliency.methods.occlusion import Method
    from xmir_cli.saliency.sample import make_samples
    from xmir_cli.saliency.windows import boxes, coverage_mean

    name, size, stride = ("vit_tiny_patch16_224", 64, 16) if given.quick else (VIT, 224, 14)
    choice = ModelChoice(architecture=f"timm:{name}", weights="random:0", input_size=size)
    embedder = load_embedder(resolve_model(choice), "cpu")
    network = timm.create_model(name, num_classes=0, img_size=size).eval()
    network.load_state_dict(embedder.network.features.model.state_dict())
    target, explained = make_samples(embedder, list(smooth(2, size)))
    windows = boxes(size, WINDOW, stride, "valid")
    hidden = hide(explained.input, torch.zeros(3, size, size), windows)

    @torch.inference_mode()
    def theirs() -> np.ndarray:
        found = torch.cat([network(part) for part in hidden.split(BATCH)])
        similarities = torch.nn.functional.cosine_similarity(found, target.embedding[None])
        lost = target.embedding @ explained.embedding - similarities
        return coverage_mean(windows, lost, size).numpy()

    def ours() -> np.ndarray:
        explained.memo.clear()
        method = Method(
            window_size=WINDOW, stride=stride, grid="valid", distance="cosine", clip_windows=False
        )
        return method(embedder, target, explained).saliency.numpy()

    times = rounds({"xmir": ours, LOOP: theirs}, given.rounds)
    apart = difference(times.results["xmir"], times.results[LOOP])
    largest = float(np.abs(times.results[LOOP]).max())
    title = f"Occlusion, {name}, {size} x {size}, {len(windows)} windows"
    table(title, times, LOOP, {"xmir": f"off by {apart:.1e} of {largest:.1e}"})
    if given.chart is not None:
        chart(given.chart, title, times, LOOP)


def main() -> None:
    """Print the table of one pair."""
    given = arguments(
        __doc__.split("\n")[0],
        3,
        fine="stride 5 instead of 10, as in the paper",
        vit="a transformer beside timm's own forward pass",
    )
    if given.vit:
        need(timm="pip install timm")
        transformer(given)
        return
    need(captum="pip install captum", xaitk_saliency="pip install xaitk-saliency")
    from xmir_cli.model.loader import load_embedder
    from xmir_cli.saliency.methods.occlusion import Method
    from xmir_cli.saliency.sample import make_samples
    from xmir_cli.wire.model import ModelSpec

    size, stride = (64, 16) if given.quick else (224, 5 if given.fine else 10)
    network = plain_network(size)
    embedder = load_embedder(ModelSpec("densenet121", "random:0"), "cpu")
    embedder.size = size
    embedder.network.features[0].load_state_dict(network[0].state_dict())
    images = list(smooth(2, size))
    query = network(images[0][None])[0].detach()
    settings = {"stride": stride, "grid": "valid", "distance": "cosine", "clip_windows": False}
    kept = make_samples(embedder, images)

    def ours(**more: Any) -> np.ndarray:
        target, explained = make_samples(embedder, images)
        return Method(**settings, **more)(embedder, target, explained).saliency.numpy()

    def again() -> np.ndarray:
        return Method(**settings)(embedder, *kept).saliency.numpy()

    ours(), again()  # the program is made once a command
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    state = network.state_dict()
    child = context.Process(target=serve, args=(there, state), daemon=True)
    os.environ.pop("OMP_WAIT_POLICY")
    child.start()

    def as_shipped(at_once: int) -> np.ndarray:
        here.send((query, images[1], stride, at_once))
        return here.recv()

    here.send((query, images[1], WINDOW, BATCH)), here.recv()  # its imports are not counted
    contestants = {
        "xmir": ours,
        "xmir --similarity-tolerance 1e-4": lambda: ours(similarity_tolerance=1e-4),
        "xmir, another query, kept": again,
        "xmir --no-incremental": lambda: ours(incremental=False),
        CAPTUM: lambda: attribute(network, query, images[1], stride),
        "captum": lambda: attribute(network, query, images[1], stride, 1),
        "captum, 16 at once, as shipped": lambda: as_shipped(BATCH),
        "captum, as shipped": lambda: as_shipped(1),
        "xaitk SBSM": xaitk(network, images[0], images[1], stride),
        "plain loop": lambda: loop(network, query, images[1], stride),
    }
    times = rounds(contestants, given.rounds)
    peer = times.results[CAPTUM]
    largest = float(np.abs(peer).max())
    notes = {
        name: f"off by {difference(found, peer):.1e} of {largest:.1e}"
        for name, found in times.results.items()
        if name != "xaitk SBSM"
    }
    title = f"Occlusion, DenseNet-121, {size} x {size}, window {WINDOW}, stride {stride}"
    table(title, times, CAPTUM, {**notes, "xaitk SBSM": "scaled its own way"})
    if given.chart is not None:
        chart(given.chart, title, times, CAPTUM)
    here.send(None)
    child.join()


if __name__ == "__main__":
    main()
