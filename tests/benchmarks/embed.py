"""Files to embeddings: xmir's pipeline, plain scripts, a DataLoader and timm's loader.

The network is DenseNet-121 with random weights, the files are grey PNGs of 1024 x 1024 pixels.
Loading the network is not counted. glibc is told to keep freed memory, for every contestant but
`as shipped`, the plain script in a process of its own.

With --vit instead: ViT-S/16 of timm beside the loop of timm's inference script, from files, which
timm's loader and transforms decode, and from tensors that were decoded beforehand.
"""

import argparse
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import arguments, chart, difference, need, rounds, table
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from xmir_cli.embedding.slots import embed_slots, slot_size
from xmir_cli.errors import ItemError
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.network import Network
from xmir_cli.pictures.reading import read_image

BATCH = 16
PLAIN = "plain script"
VIT, LOADER = "vit_small_patch16_224", "timm's loader, 2 workers"


def pictures(folder: Path, count: int, side: int) -> list[str]:
    """Grey noise, smooth as an X-ray is: its PNGs take as long to read."""
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + generator.integers(-4, 5, (side, side))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.png")
    return sorted(str(path) for path in folder.iterdir())


def recipe(size: int) -> v2.Compose:
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return v2.Compose(
        [
            v2.Resize(round(size * 256 / 224)),
            v2.CenterCrop(size),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )


class Files(Dataset[Tensor]):
    """Images as a script's author writes them down."""

    def __init__(self, paths: list[str], size: int) -> None:
        self.paths, self.recipe = paths, recipe(size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Tensor:
        image: Tensor = self.recipe(Image.open(self.paths[place]).convert("RGB"))
        return image


class Labelled(Dataset[tuple[object, int]]):
    """What timm's loader takes, which gives it a transform."""

    transform: Callable[[Image.Image], object]

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> tuple[object, int]:
        return self.transform(Image.open(self.paths[place]).convert("RGB")), 0


@torch.no_grad()
def plain(network: nn.Module, files: Files, batch: int = BATCH) -> Tensor:
    found = []
    for start in range(0, len(files), batch):
        images = [files[place] for place in range(start, min(start + batch, len(files)))]
        found.append(functional.normalize(network(torch.stack(images))))
    return torch.cat(found)


@torch.no_grad()
def loaded(network: nn.Module, files: Files, workers: int) -> Tensor:
    loader = DataLoader(files, batch_size=BATCH, num_workers=workers)
    return torch.cat([functional.normalize(network(images)) for images in loader])


@torch.inference_mode()
def timms(network: nn.Module, paths: list[str], size: int, workers: int, **data: Any) -> Tensor:
    """The loop of timm's own inference script."""
    from timm.data import create_loader

    loader = create_loader(
        Labelled(paths),
        input_size=(3, size, size),
        batch_size=BATCH,
        num_workers=workers,
        use_prefetcher=False,
        device=torch.device("cpu"),
        **data,
    )
    return torch.cat([functional.normalize(network(images)) for images, _ in loader])


def ours(embedder: Embedder, paths: list[str]) -> np.ndarray:
    slots = embed_slots(embedder, paths, slot_size(embedder), len(paths), lambda _: None, None)
    rows = [row for slot in slots for row in slot]
    return np.stack([row.vector for row in rows if not isinstance(row, ItemError)])


def serve(pipe: Connection, name: str, size: int, weights: dict[str, Tensor]) -> None:
    """The plain script where nobody has touched malloc: embeddings for lists of paths."""
    network = Network(build_architecture(name, size), None).eval()
    network.load_state_dict(weights)
    while (paths := pipe.recv()) is not None:
        pipe.send(plain(network, Files(paths, size)).numpy())


def apart(name: str, size: int, network: nn.Module) -> Connection:
    """The other end of such a process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    context.Process(target=serve, args=(there, name, size, weights), daemon=True).start()
    return here


def transformer(given: argparse.Namespace) -> None:
    """Both tables of ViT-S/16."""
    import timm
    from timm.data import resolve_data_config

    name, count, side, size = (
        ("vit_tiny_patch16_224", 17, 64, 32) if given.quick else (VIT, 128, 1024, 224)
    )
    choice = ModelChoice(architecture=f"timm:{name}", weights="random:0", input_size=size)
    embedder = load_embedder(resolve_model(choice), "cpu")
    network = timm.create_model(name, num_classes=0, img_size=size).eval()
    network.load_state_dict(embedder.network.features.model.state_dict())
    config = resolve_data_config(model=network)
    recipe = {key: config[key] for key in ("interpolation", "mean", "std", "crop_pct")}

    @torch.inference_mode()
    def forward(images: Tensor) -> Tensor:
        return torch.cat([functional.normalize(network(part)) for part in images.split(BATCH)])

    with tempfile.TemporaryDirectory() as folder:
        paths = pictures(Path(folder), count, side)
        images = torch.stack([read_image(path, embedder.recipe).input for path in paths[:64]])
        for title, reference, contestants in (
            (
                f"{count} PNGs of {side} pixels to embeddings, {name}",
                LOADER,
                {
                    "xmir embed": lambda: ours(embedder, paths),
                    "timm's loader, in the process": lambda: timms(
                        network, paths, size, 0, **recipe
                    ),
                    LOADER: lambda: timms(network, paths, size, 2, **recipe),
                },
            ),
            (
                f"{len(images)} tensors to embeddings, {name}",
                "timm's forward loop",
                {
                    "xmir": lambda: embedder.embed(images),
                    "timm's forward loop": lambda: forward(images),
                },
            ),
        ):
            times = rounds(contestants, given.rounds)
            first = times.results[reference]
            notes = {
                each: f"equal within {difference(found, first):.0e}"
                for each, found in times.results.items()
            }
            table(title, times, reference, notes)


def main() -> None:
    given = arguments(
        __doc__.splitlines()[0], 3, vit="a transformer beside timm's own inference loop"
    )
    if given.vit:
        need(timm="pip install timm")
        transformer(given)
        return
    if not given.quick:
        need(timm="pip install timm")
    count, side, size = (17, 64, 32) if given.quick else (128, 1024, 224)
    name = "resnet18" if given.quick else "densenet121"
    spec = resolve_model(ModelChoice(architecture=name, weights="random:0", input_size=size))
    embedder, eager = load_embedder(spec, "cpu"), load_embedder(spec, "cpu").network
    eager.to(memory_format=torch.contiguous_format)  # as any script has it
    with tempfile.TemporaryDirectory() as folder:
        paths = pictures(Path(folder), count, side)
        files = Files(paths, size)
        contestants: dict[str, Callable[[], object]] = {
            PLAIN: lambda: plain(eager, files),
            "plain script, one by one": lambda: plain(eager, files, 1),
            "DataLoader, in the process": lambda: loaded(eager, files, 0),
            "DataLoader, 2 workers": lambda: loaded(eager, files, 2),
            LOADER: lambda: timms(
                eager, paths, size, 2, interpolation="bilinear", crop_pct=224 / 256
            ),
            "xmir embed": lambda: ours(embedder, paths),
        }
        if given.quick:  # processes take seconds to start
            del contestants["DataLoader, 2 workers"], contestants[LOADER]
        else:
            script = apart(name, size, eager)
            script.send(paths[:1]), script.recv()  # its imports are not counted
            contestants["plain script, as shipped"] = lambda: script.send(paths) or script.recv()
        times = rounds(contestants, given.rounds)
        if not given.quick:
            script.send(None)
    results = times.results
    notes = {
        name: f"{count / statistics.median(times[name]):.1f} images/s, "
        f"equal within {difference(results[name], results[PLAIN]):.0e}"
        for name in times
    }
    title = f"{count} PNGs of {side} pixels to embeddings"
    table(title, times, PLAIN, notes)
    if given.chart:
        chart(given.chart, title, times, PLAIN)


if __name__ == "__main__":
    main()
