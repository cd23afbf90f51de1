"""One pair at a time: its images, its maps, and their insertion and deletion."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial

import torch
from torch import Tensor

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.explain.concept_target import recorded_direction
from xmir_cli.explain.galleries import begin_run, mean_in
from xmir_cli.metrics.causal import CausalCurves
from xmir_cli.metrics.order import tied_fraction
from xmir_cli.metrics.protocol import Protocol, score_maps
from xmir_cli.metrics.tied_pixels import tie_effect, tie_spans
from xmir_cli.model.embedder import Embedder
from xmir_cli.retrieval.words import embed_words, mix
from xmir_cli.saliency.centering import GalleryMean
from xmir_cli.saliency.sample import make_target
from xmir_cli.saliency.shown import keep_shown
from xmir_cli.scoring.alike import SameMaps
from xmir_cli.scoring.altered import alter
from xmir_cli.scoring.controls import Controls
from xmir_cli.scoring.inputs import Input, read_input, read_map
from xmir_cli.scoring.tasks import TargetPair, Task, attempt
from xmir_cli.wire.checks import check_identity, check_similarity
from xmir_cli.wire.model import ModelSpec

_EMBEDDINGS = 1024  # images whose embeddings are kept
_INPUTS = 16  # images whose pixels are kept
_PAIRS = 1024  # pairs whose controls' curves are kept
_MAP = "map"  # the task's own map, among those of its controls

MapsByName = Mapping[str, Tensor]  # name -> map [S, S]


@dataclass(frozen=True)
class Scored:
    """A map with its curves, those of its controls, and everything they rest on."""

    causal: CausalCurves
    controls: dict[str, CausalCurves]
    tied_fraction: float
    tie_effect: float
    parameters: dict[str, object]
    same_as: list[str]  # methods before it whose map of the pair is the same


class PairScorer:
    """Scores the maps of pairs.

    Every network is loaded once, every image and every end of its curves is embedded once, and the
    controls that do not depend on the method are scored once a pair, also when its records are not
    consecutive.
    """

    def __init__(
        self,
        protocol: Protocol,
        controls: Sequence[str],
        load: Callable[[ModelSpec], Embedder],
        instead: ModelSpec | None = None,
    ) -> None:
        self.protocol = protocol
        self.instead = instead  # scores in place of the networks that the maps were made with
        self._load = cache(load)
        self._controls = Controls(controls, protocol.seed, self._load)
        self._read = lru_cache(_INPUTS)(read_input)
        self._embed = lru_cache(_EMBEDDINGS)(self._embed_image)
        self._embed_ends = lru_cache(_EMBEDDINGS)(self._embed_all_ends)
        self._common: dict[
            TargetPair, dict[str, CausalCurves]
        ] = {}  # curves of the controls of a pair
        self._same = SameMaps()
        self._scored = 0  # maps
        self._told = False
        begin_run()

    def score(self, tasks: Sequence[Task]) -> list[Scored | ItemError]:
        """The maps of one pair, scored together; an ItemError for each that cannot be used.

        Raises ModelError when the network cannot be had.
        """
        pair = tasks[0].pair
        embedder = self._load(self.instead or pair.spec)
        self._warn_of_another_network(embedder, pair)
        images = attempt(self._images, embedder, pair)
        if isinstance(images, ItemError):
            return [images] * len(tasks)
        found = [attempt(self._maps, task, embedder, images) for task in tasks]
        usable = [maps for maps in found if not isinstance(maps, ItemError)]
        made = attempt(self._curves, embedder, pair, images, usable) if usable else [{}]
        if isinstance(made, ItemError):
            return [maps if isinstance(maps, ItemError) else made for maps in found]
        *own, common = made
        parameters = self.protocol.describe(embedder, images.explained)
        if images.mean is not None:
            parameters["center"] = images.mean.sha256
        able = [
            task for task, maps in zip(tasks, found, strict=True) if not isinstance(maps, ItemError)
        ]
        same = [self._same.find(task, maps[_MAP]) for task, maps in zip(able, usable, strict=True)]
        scored = (
            attempt(_scored, maps[_MAP], {**common, **curves}, parameters, others)
            for maps, curves, others in zip(usable, own, same, strict=True)
        )
        return [maps if isinstance(maps, ItemError) else next(scored) for maps in found]

    def identify(self, task: Task) -> tuple[str, str]:
        """The identities of query and retrieved image.

        Those of the record, else of the files; empty for a file that cannot be read.
        """
        embedder = self._load(self.instead or task.pair.spec)
        found = []
        for name, recorded in _named(task):
            image = None if recorded else attempt(self._read, embedder, name)
            found.append(image.identity if isinstance(image, Input) else recorded or "")
        return ("" if len(found) == 1 else found[0]), found[-1]

    def _images(self, embedder: Embedder, pair: TargetPair) -> "_Images":
        target = self._read(embedder, pair.target).input if pair.target else torch.empty(0)
        explained = self._read(embedder, pair.explained).input
        embedding = self._target(embedder, pair)
        similarity = float(self._embed(embedder, pair.explained) @ embedding)
        mean = None
        if pair.center is not None:
            index, sha256 = pair.center
            mean = mean_in({"index": index}, embedder.spec, sha256)
        return _Images(target, embedding, explained, similarity, mean)

    def _target(self, embedder: Embedder, pair: TargetPair) -> Tensor:
        """The unit embedding [D] of what stays fixed: an image, words, both, or a concept."""
        if pair.concept is not None:
            return recorded_direction(*pair.concept, embedder.spec)
        if pair.words is None:
            return self._embed(embedder, pair.target)
        words = replace(pair.words, sha256="") if self.instead else pair.words
        text = embed_words(embedder, words)
        if words.weight is None:
            return text
        return mix(words.weight, text, self._embed(embedder, pair.target))

    def _embed_image(self, embedder: Embedder, path: str) -> Tensor:
        """The unit embedding [D]."""
        return embedder.embed(self._read(embedder, path).input[None])[0]

    def _embed_all_ends(self, embedder: Embedder, path: str) -> Tensor:
        """The unit embeddings [3, D] of the image and the other ends of its curves."""
        ends = self.protocol.ends(self._read(embedder, path).input)
        others = embedder.embed(torch.stack([ends.blurred, ends.substrate]))
        return torch.cat([self._embed(embedder, path)[None], others])

    def _maps(self, task: Task, embedder: Embedder, images: "_Images") -> MapsByName:
        """The map of a task and its own controls."""
        for name, recorded in _named(task):
            check_identity(recorded, self._read(embedder, name).identity, name)
        _check(task, embedder, images)
        crop = self._read(embedder, task.pair.explained).crop
        saliency = keep_shown(read_map(task.saliency, embedder.size), crop, math.nan)
        bare = task.pair.words is not None or task.pair.concept is not None
        target = make_target(images.embedding) if bare else images.target
        own = self._controls.make_own(task, target, images.explained)
        identity = self._read(embedder, task.pair.explained).identity
        altered = alter(self._controls.names, task, saliency, identity, self.protocol.seed)
        return {_MAP: saliency, **altered, **own}

    def _curves(
        self, embedder: Embedder, pair: TargetPair, images: "_Images", own: Sequence[MapsByName]
    ) -> list[dict[str, CausalCurves]]:
        """The curves of each task's own maps, and last those of the pair's controls."""
        known = self._common.get(pair)
        shared = (
            {} if known else self._controls.make_shared(embedder, images.target, images.explained)
        )
        groups = [*own, shared]
        crop = self._read(embedder, pair.explained).crop
        flat = [keep_shown(each, crop, math.nan) for maps in groups for each in maps.values()]
        explained = (
            self.protocol.ends(images.explained),
            self._embed_ends(embedder, pair.explained),
        )
        mean = images.mean
        score = score_maps if mean is None else partial(score_maps, similarity=mean.similarities)
        scored = score(embedder, images.embedding, explained, flat, self.protocol, self._scored)
        self._scored += len(flat)
        curves = iter(scored)
        *made, common = [{name: next(curves) for name in maps} for maps in groups]
        self._common[pair] = known or common
        if len(self._common) > _PAIRS:
            del self._common[next(iter(self._common))]
        return [*made, self._common[pair]]

    def _warn_of_another_network(self, embedder: Embedder, pair: TargetPair) -> None:
        if self._told or embedder.spec.same_embedding(pair.spec):
            return
        self._told = True
        console.warning("the maps were made with another network than the one that scores them")


@dataclass(frozen=True)
class _Images:
    target: Tensor  # [3, S, S]; empty where words ask alone
    embedding: Tensor  # of the target, unit, [D]
    explained: Tensor  # [3, S, S]
    similarity: float
    mean: GalleryMean | None  # that is taken off all embeddings


def _named(task: Task) -> list[tuple[str, str | None]]:
    """The paths of query and retrieved image, each with its identity as recorded.

    The query's is not there where words ask alone.
    """
    view = task.view
    query = [(view.query, view.query_identity)] if task.pair.target else []
    return [*query, (view.retrieved, view.retrieved_identity)]


def _check(task: Task, embedder: Embedder, images: _Images) -> None:
    """Refuse a record whose images are no longer as similar as it says."""
    comparable = embedder.precision == "fp32" and embedder.spec.same_embedding(task.pair.spec)
    if comparable:
        view = task.view
        known = view.similarity if task.pair.concept is None else view.target_similarity
        check_similarity(known, images.similarity)


def _scored(
    saliency: Tensor,
    curves: dict[str, CausalCurves],
    parameters: dict[str, object],
    same_as: list[str],
) -> Scored:
    causal = curves.pop(_MAP)
    if not math.isfinite(causal.insertion.auc + causal.deletion.auc):
        raise ItemError(Cause.NAN, "the network gave a similarity that is no number; try fp32")
    spans = tie_spans(saliency, causal.insertion.fractions, parameters["order"] == "lerf")
    effect = tie_effect(causal, spans)
    return Scored(causal, curves, tied_fraction(saliency), effect, parameters, same_as)
