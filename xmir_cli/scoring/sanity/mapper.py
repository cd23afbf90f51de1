"""Maps of pairs under one network, as the tests compare them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.arrays import Floats
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency.centering import Centered, GalleryMean
from xmir_cli.saliency.sample import Method, Sample, make_samples
from xmir_cli.scoring.sanity.pairs import Inputs, Pair


class Mapper:
    """Makes the maps of pairs by any method; every image passes through the network once.

    With `center` the mean embedding of all images is taken off, this network's own.
    """

    def __init__(self, embedder: Embedder, inputs: Inputs, center: bool) -> None:
        made = make_samples(embedder, [each.input for each in inputs.images.values()])
        self.embedder, self._inputs = embedder, inputs
        self._samples: Mapping[str, Sample] = dict(zip(inputs.images, made, strict=True))
        mean = torch.stack([each.embedding for each in made]).mean(dim=0)
        self._mean = GalleryMean(mean) if center else None

    @property
    def center(self) -> bool:
        """Whether a mean is taken off."""
        return self._mean is not None

    def map(self, method: Method, pairs: Iterable[Pair]) -> list[Floats]:
        """The map of each pair's retrieved image, where the picture is: [H, W] each."""
        return [
            self._map(method, self._samples[query], self._samples[retrieved], retrieved)
            for query, retrieved in pairs
        ]

    def map_changed(
        self, method: Method, pairs: Iterable[Pair], changed: Mapping[str, Sample]
    ) -> list[Floats]:
        """The same of retrieved images that were changed; the queries stay."""
        return [
            self._map(method, self._samples[query], changed[retrieved], retrieved)
            for query, retrieved in pairs
        ]

    def embed(self, inputs: Mapping[str, Tensor]) -> dict[str, Sample]:
        """Samples of other inputs [3, S, S], by path."""
        return dict(zip(inputs, make_samples(self.embedder, [*inputs.values()]), strict=True))

    def _map(self, method: Method, target: Sample, explained: Sample, path: str) -> Floats:
        used = method if self._mean is None else Centered(method, self._mean)
        saliency = used(self.embedder, target, explained).saliency
        return saliency[self._inputs.images[path].crop.shown(self.embedder.size)].double().numpy()


def draw_anew(method: Method) -> Method:
    """The method with another seed where it has one: what it draws is no part of the network."""
    if "seed" not in vars(method):
        return method
    return replace(method, seed=vars(method)["seed"] + 1)  # type: ignore[type-var] # a frozen dataclass
