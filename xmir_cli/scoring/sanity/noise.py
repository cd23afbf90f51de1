"""Test `noise`: does the map stay when the picture changes by less than can be seen?

    change = |map of the image with noise - map| / |map|, lengths over all pixels

Source: Yeh et al., On the (in)fidelity and sensitivity of explanations, NeurIPS 2019.
"""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from xmir_cli.metrics.sanity import Agreement, agreement, change
from xmir_cli.model.embedder import Embedder
from xmir_cli.scoring.inputs import Input
from xmir_cli.scoring.sanity.check import Check, average, summarize, tell_seeds
from xmir_cli.wire.records import Record


def add_noise(check: Check, size: float, seeds: Sequence[int], draws: int) -> Iterator[Record]:
    """A record a method: noise of the size is added to every retrieved image, `draws` times a seed.

    `size` is in shares of the range of pixel values.
    """
    pairs = list(check.inputs.pairs)
    retrieved = dict.fromkeys(path for _, path in pairs)
    changes: dict[str, list[list[float]]] = {name: [[] for _ in pairs] for name in check.methods}
    agreements: dict[str, list[Agreement]] = {name: [] for name in check.methods}
    for number in (f"{seed} {draw}" for seed in seeds for draw in range(draws)):
        noisy = check.mapper.embed(
            {
                path: disturb(check.mapper.embedder, check.inputs.images[path], size, number)
                for path in retrieved
            }
        )
        for name, method in check.methods.items():
            after = check.mapper.map_changed(method, pairs, noisy)
            agreements[name] += map(agreement, check.before[name], after)
            for of_pair, *maps in zip(changes[name], check.before[name], after, strict=True):
                of_pair.append(change(*maps))
        check.advance()
    for name in check.methods:
        numbers: Record = {
            "noise": size,
            "draws": draws,
            **summarize(agreements[name]),
            **average("change", [each for of_pair in changes[name] for each in of_pair]),
            **average("change_max", [max(of_pair) for of_pair in changes[name]]),
            **tell_seeds(seeds),
        }
        yield from check.by_query(check.record(name, "noise", numbers), agreements[name])


def disturb(embedder: Embedder, image: Input, size: float, number: str) -> Tensor:
    """The input [3, S, S] with uniform noise of up to `size` either way where the picture is.

    Each value of each channel has its own; an image's is the same in whatever company it comes.
    """
    digest = hashlib.sha256(f"{number} {image.identity}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    noise = (2 * torch.rand(image.input.shape, generator=generator) - 1) * size
    scaled = noise / torch.tensor(embedder.recipe.std)[:, None, None]
    rows, columns = image.crop.shown(embedder.size)
    changed = image.input.clone()
    changed[:, rows, columns] += scaled[:, rows, columns]
    return changed
