"""Grad-CAM of a query's hits: autograd a pair, captum, and xmir from the network and an index.

The network is DenseNet-121 with random weights, the images are in memory. Every contestant has the
query's embedding made once. The last rows begin with the feature maps in an index, on the disk; the
very last one writes each map, its .json and its record as 'xmir saliency --no-overlay' does.
"""

import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `xmir` at its start; torch reads it once
import torch
from timing import arguments, chart, difference, need, rounds, table
from torch import Tensor
from torch.nn import functional

from xmir_cli.explain.cases import Cases
from xmir_cli.explain.explainer import Explainer
from xmir_cli.explain.galleries import origin_at
from xmir_cli.explain.maps import Output
from xmir_cli.explain.requests import Request
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.manifest import GraphSettings
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.program.workers import single_thread
from xmir_cli.render.overlay import Display
from xmir_cli.saliency.methods.gradcam import Method
from xmir_cli.saliency.sample import Sample, make_samples
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.features import FeatureMaps

HOOKS, CAPTUM = "autograd, a pair at a time", "captum LayerGradCam"
NETWORK, STORED, WRITTEN = "xmir, from the network", "xmir, from the index", "xmir, and written"
METHOD = Method()
TIMES = 50


def by_autograd(embedder: Embedder, query: Tensor, hits: list[Tensor]) -> Tensor:
    """As the many scripts with hooks do: forward and backward for each pair."""
    with torch.no_grad():
        target = embedder.network(query[None])[0]
    maps = []
    for hit in hits:
        features = embedder.network.features(hit[None].requires_grad_())
        score = embedder.network.head(features)[0] @ target
        (gradient,) = torch.autograd.grad(score, features)
        grid = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True)
        maps.append(large(grid.detach().clamp(min=0), embedder.size))
    return torch.stack(maps)


def by_captum(embedder: Embedder, query: Tensor, hits: list[Tensor]) -> Tensor:
    from captum.attr import LayerGradCam

    with torch.no_grad():
        target = embedder.network(query[None])[0]
    explain = LayerGradCam(lambda x: embedder.network(x) @ target, embedder.network.features)
    found = [explain.attribute(hit[None], relu_attributions=True).detach() for hit in hits]
    return torch.stack([large(grid, embedder.size) for grid in found])


def large(grid: Tensor, size: int) -> Tensor:
    return functional.interpolate(grid, (size, size), mode="bilinear", align_corners=False)[0, 0]


def by_network(embedder: Embedder, query: Tensor, hits: list[Tensor]) -> Tensor:
    target, *others = make_samples(embedder, [query, *hits])
    return torch.stack([METHOD(embedder, target, other).saliency for other in others])


def build(embedder: Embedder, samples: list[Sample], folder: Path) -> tuple[str, list[str]]:
    """An index of these images, and the paths it knows them by, which stand for hashes, too."""
    names = [f"/{number:04}.png" for number in range(len(samples))]
    maps = [sample.features.numpy().astype(np.float16) for sample in samples]
    features = FeatureMaps(maps[0].shape, lambda: (each[None] for each in maps))
    size = pa.array([1024] * len(names), pa.int32())
    items = pa.table({"id": names, "path": names, "sha256": names, "width": size, "height": size})
    vectors = np.stack([sample.embedding.numpy() for sample in samples])
    embeddings = Embeddings(items, vectors, embedder.spec, {}, features)
    build_gallery(embeddings, folder / "a.xmir", "exact", GraphSettings())
    return str(folder / "a.xmir"), names


def by_index(embedder: Embedder, index: str, names: list[str]) -> Tensor:
    known = origin_at(index).lend(embedder, {name: name for name in names})
    target, *others = [case.sample for case in known.values()]
    with single_thread():
        return torch.stack([METHOD(embedder, target, other).saliency for other in others])


def written(embedder: Embedder, index: str, names: list[str], folder: Path) -> Tensor:
    output = Output(folder, Display(), force=True, draws=False)
    cases = Cases(embedder, draws=False)
    explainer = Explainer(lambda _: cases, {"gradcam": METHOD}, ["retrieved"], output)
    query, *hits = names
    record = {"index": index, "query": query, "query_identity": query}
    group = [
        Request(
            hit, {**record, "retrieved": hit, "retrieved_identity": hit}, query, hit, embedder.spec
        )
        for hit in hits
    ]
    found = [record for _, record in explainer.explain(group)]
    return torch.stack([torch.from_numpy(np.load(str(each["saliency"]))) for each in found])


def often(contestants: dict[str, Callable[[], Tensor]]) -> dict[str, Callable[[], Tensor]]:
    """Each run TIMES times, for one run is over in milliseconds."""

    def repeated(run: Callable[[], Tensor]) -> Tensor:
        for _ in range(TIMES - 1):
            run()
        return run()

    return {name: partial(repeated, run) for name, run in contestants.items()}


def main() -> None:
    need(captum="pip install captum")
    given = arguments(__doc__.splitlines()[0], 3)
    name, size, count = ("resnet18", 32, 3) if given.quick else ("densenet121", 224, 10)
    embedder = load_embedder(
        resolve_model(ModelChoice(architecture=name, weights="random:0", input_size=size)), "cpu"
    )
    query, *hits = torch.randn(count + 1, 3, size, size, generator=torch.manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        known = build(embedder, make_samples(embedder, [query, *hits]), place)
        contestants: dict[str, Callable[[], Tensor]] = {
            HOOKS: lambda: by_autograd(embedder, query, hits),
            CAPTUM: lambda: by_captum(embedder, query, hits),
            NETWORK: lambda: by_network(embedder, query, hits),
        }
        fast = {
            STORED: lambda: by_index(embedder, *known),
            WRITTEN: lambda: written(embedder, *known, place),
        }
        times = rounds(contestants, given.rounds)
        for name, seconds in (found := rounds(often(fast), given.rounds)).items():
            times[name] = [each / TIMES for each in seconds]
        times.results |= found.results
    largest = difference(times.results[CAPTUM], torch.zeros(count, size, size))
    notes = {
        name: f"{count / statistics.median(times[name]):.4g} pairs/s, equal within "
        f"{difference(times.results[name], times.results[CAPTUM]) / largest:.0e}"
        for name in times
    }
    title = f"Grad-CAM of {count} hits"  # differences are relative to the largest value
    table(title, times, CAPTUM, notes)
    if given.chart:
        chart(given.chart, title, times, CAPTUM)


if __name__ == "__main__":
    main()
