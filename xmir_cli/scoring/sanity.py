"""The model-randomisation check: do the maps change when the network's weights do?"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import DataError, ItemError, SettingError, need_usable
from xmir_cli.explain.refused import Refusals
from xmir_cli.explain.requests import Request
from xmir_cli.metrics.sanity import Agreement, agreement
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Network
from xmir_cli.model.randomize import Stage, randomize, stages
from xmir_cli.pictures.batches import decode_all
from xmir_cli.saliency.centering import Centered, GalleryMean
from xmir_cli.saliency.sample import Method, make_samples
from xmir_cli.scoring.inputs import Input, read_input
from xmir_cli.scoring.names import AGREEMENTS
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.sanity import SanityRecord

_CENTERED = 3  # images of which a mean can be taken off: of two, what is left is opposite


@dataclass(frozen=True)
class Inputs:
    """What every stage explains again."""

    images: Mapping[str, Input]  # by path
    pairs: Sequence[tuple[str, str]]  # paths of query and retrieved image; equal for itself


@dataclass(frozen=True)
class Check:
    """The settings of a check."""

    methods: Mapping[str, Method]
    mode: str  # full | cascading | independent
    threshold: float  # what the agreement may reach when all is random
    center: bool = False  # take the mean embedding of all images off, under each network its own
    refusals: Refusals = field(default_factory=Refusals)  # by the trained network


def randomization_check(
    trained: Embedder,
    inputs: Inputs,
    settings: Check,
    donors: Sequence[Network],
    advance: Callable[[], None],
) -> Iterator[Record]:
    """A record a method and stage: the agreement of its maps with those of the trained network.

    Each of the donors, networks of fresh weights, is used in turn; the means are over pairs and
    donors. Only one network is held beside the trained one and the donors.
    """
    if settings.center and len({each.identity for each in inputs.images.values()}) < _CENTERED:
        raise SettingError(
            "center", f"expected records of {_CENTERED} images or more, whose mean is taken off"
        )
    before = settings.refusals.try_all(settings.methods, _explain(trained, inputs, settings.center))
    methods = {name: settings.methods[name] for name in before}
    advance()
    for position, stage in enumerate(stages(trained.network, settings.mode)):
        found: dict[str, list[Agreement]] = {name: [] for name in methods}
        for donor in donors if stage.blocks else ():
            explain = _explain(randomize(trained, donor, stage), inputs, settings.center)
            for name, method in methods.items():
                found[name] += map(agreement, before[name], explain(name, method))
            advance()
        for name, method in methods.items():
            agreements = found[name] or [agreement(each, each) for each in before[name]]
            record = {
                "schema": SanityRecord.NAME,
                "method": name,
                "settings": {**vars(method), **({"center": True} if settings.center else {})},
                "mode": settings.mode,
                "stage": stage.name,
                "position": position,
                "randomized": [block.name for block in stage.blocks],
                **summarize(agreements),
                "seeds": len(donors),
                "initialization": "constructor",
            }
            yield {**record, **_verdict(record, stage, settings.threshold)}


def _explain(
    embedder: Embedder, inputs: Inputs, center: bool
) -> Callable[[str, Method], list[Floats]]:
    """What makes the maps of all pairs by a method."""
    made = make_samples(embedder, [each.input for each in inputs.images.values()])
    samples = dict(zip(inputs.images, made, strict=True))
    shown = {path: each.crop.shown(embedder.size) for path, each in inputs.images.items()}
    mean = GalleryMean(torch.stack([each.embedding for each in made]).mean(dim=0))

    def explain(_: str, method: Method) -> list[Floats]:
        used = Centered(method, mean) if center else method
        return [
            used(embedder, samples[query], samples[retrieved])
            .saliency[shown[retrieved]]
            .double()
            .numpy()
            for query, retrieved in inputs.pairs
        ]

    return explain


def summarize(agreements: Sequence[Agreement]) -> Record:
    """The means and deviations over all maps for which a number is defined; None without any."""
    summary: Record = {"n": len(agreements)}
    for name in AGREEMENTS:
        values = np.array([vars(each)[name] for each in agreements])
        values = values[~np.isnan(values)]
        summary[name] = float(values.mean()) if len(values) else None
        summary[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
    summary["undefined"] = sum(math.isnan(each.spearman) for each in agreements)
    return summary


def _verdict(record: Record, stage: Stage, threshold: float) -> Record:
    """`pass` when, all weights random, neither correlation is beyond the threshold."""
    if stage.name != "all":
        return {"verdict": None, "threshold": threshold}
    found = [record["spearman"], record["spearman_abs"]]
    sizes = [abs(value) for value in found if isinstance(value, float)]
    if len(sizes) < len(found):
        return {"verdict": "undefined", "threshold": threshold}
    return {"verdict": "pass" if max(sizes) <= threshold else "fail", "threshold": threshold}


def load_inputs(
    embedder: Embedder, requests: Sequence[Request], skips: Skips, jobs: int | None
) -> Inputs:
    """The images of the requests, each pair once; a pair without its images goes to `skips`.

    Raises DataError when no pair is left.
    """
    paths = list(dict.fromkeys(path for each in requests for path, _ in each.images))
    loaded = decode_all(paths, lambda path: read_input(embedder, path), jobs)
    found = dict(zip(paths, loaded, strict=True))
    images: dict[str, Input] = {}
    pairs: dict[tuple[str, str], None] = {}
    for request in requests:
        try:
            _refuse_words(request)
            query, retrieved = (
                need_usable(found[path]) for path in (request.query, request.retrieved)
            )
            request.check_identities(query.identity, retrieved.identity)
        except ItemError as error:
            skips.add(request.name, error)
            continue
        images |= {request.query: query, request.retrieved: retrieved}
        pairs[request.query, request.retrieved] = None
    if not pairs:
        raise DataError(f"none of {skips.total} records could be checked")
    return Inputs(images, list(pairs))


def _refuse_words(request: Request) -> None:
    """Raise ItemError where words ask: a random network has no words in its space."""
    if request.words is not None:
        raise ItemError(Cause.BAD_RECORD, "query_text: the check takes pairs of images")
