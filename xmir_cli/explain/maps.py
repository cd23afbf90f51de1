"""One saliency map: computed once, kept as .npy, .png and the .json that says what made it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xmir_cli.explain.cases import Case
from xmir_cli.explain.concept_target import sample_of, told_of
from xmir_cli.explain.galleries import Origin
from xmir_cli.explain.provenance import hash_origin, made_of, read_provenance, write_provenance
from xmir_cli.explain.rounding import warn_of_rounding
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.identity import split_name
from xmir_cli.render.boxes import draw_boxes
from xmir_cli.render.overlay import Display, overlay
from xmir_cli.saliency import catalogue
from xmir_cli.saliency.centering import Centered, GalleryMean
from xmir_cli.saliency.contrast import contrast
from xmir_cli.saliency.sample import Explanation, Match, Method, Sample
from xmir_cli.saliency.shown import explain_shown
from xmir_cli.store.arrays import read_array, write_small_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.concepts import StoredConcept
from xmir_cli.store.hashes import safe_name
from xmir_cli.wire.records import Record
from xmir_cli.wire.words import Words


@dataclass(frozen=True)
class LoadedPair:
    """Two loaded images; `explains` names the one that gets the map."""

    query: Case
    retrieved: Case
    negatives: tuple[Case, ...] = ()
    contrast: Case | None = None  # what takes the target's place in the map that is subtracted
    origin: Origin | None = None  # where the pair was found, for methods that need a gallery
    explains: str = "retrieved"  # query | retrieved
    mean: GalleryMean | None = None  # of a gallery, taken off both images
    words: Words | None = None  # that ask, alone or together with the query
    concept: StoredConcept | None = None  # that the map is of, in the place of the other image

    @property
    def stored(self) -> list[str]:
        """Which of the images are known by their feature maps in an index, in float16."""
        named = {"query": self.query, "retrieved": self.retrieved, "contrast": self.contrast}
        found = [name for name, case in named.items() if case is not None and case.stored]
        return [*found, *["negatives" for case in self.negatives if case.stored][:1]]

    @property
    def explained(self) -> Case:
        """The image that gets the map."""
        return self.query if self.explains == "query" else self.retrieved

    def samples(self) -> tuple[Sample, Sample]:
        """The target and the explained image; the negatives hang on the query."""
        gallery = None if self.origin is None else self.origin.labelled
        retrieved = replace(self.retrieved.sample, gallery=gallery)
        negatives = tuple(case.sample for case in self.negatives)
        query = replace(self.query.sample, gallery=gallery, negatives=negatives)
        if self.concept is not None:
            return sample_of(self.concept), query if self.explains == "query" else retrieved
        if self.query is self.retrieved:
            return query, query
        return (retrieved, query) if self.explains == "query" else (query, retrieved)


@dataclass(frozen=True)
class Output:
    """Where maps go and how they are drawn."""

    folder: Path
    display: Display
    force: bool = False  # make maps again that are there already
    draws: bool = True  # overlays, too
    half: bool = False  # what a cache keeps is rounded to float16

    def path(self, stem: str, suffix: str) -> Path:
        """A file of the folder."""
        return self.folder / f"{stem}{suffix}"

    def overlay_path(self, stem: str) -> Path:
        """The picture's file; another look has another name, so both can be kept."""
        tag = "" if self.display == Display() else f"-{self.display.colormap}"
        if self.display.alpha != Display().alpha:
            tag += f"-{self.display.alpha:g}"
        return self.path(stem, f"{tag}.png")


def names_of(query: str, retrieved: str) -> str:
    """The part of a file name that names the two images."""
    return f"{_short_name(query)}--{_short_name(retrieved)}"


def _short_name(name: str) -> str:
    path, frame = split_name(name)
    stem = Path(path).stem
    return safe_name(stem if frame is None else f"{stem}-frame-{frame}")


def make_map(
    embedder: Embedder, pair: LoadedPair, name: str, method: Method, output: tuple[Output, str]
) -> Record:
    """The keys that one map adds to its record; its files are there when this returns.

    `output` is the folder and the part of the file names that names the images. A map that is
    there already and made of the same is not computed again.
    """
    place, names = output
    settings = _settings(name, method, pair)
    asked: Record = {"method": name, "settings": settings, "explains": pair.explains}
    images = {"query_sha256": pair.query.identity, "retrieved_sha256": pair.retrieved.identity}
    if pair.words is not None:
        images["query_text_sha256"] = pair.words.digest
    stored: Record = {"stored_features": pair.stored} if pair.stored else {}
    rounded: Record = {"cache": "float16"} if place.half else {}
    origin = made_of(embedder, {**images, **asked, **stored, **rounded})
    stem = f"{names}--{name}-{hash_origin(origin)}"
    array, provenance = place.path(stem, ".npy"), place.path(stem, ".json")
    known = None if place.force else read_provenance(provenance, origin, array)
    if known is None:
        explanation = _explain(embedder, pair, method)
        known = {
            "evaluations": explanation.evaluations,
            "details": _details(explanation, pair.explains),
        }
        saliency = explanation.saliency.numpy()
        sha256 = write_small_array(array, saliency)
        if place.draws:
            _draw(place, stem, pair, saliency, known)
        write_provenance(provenance, origin, known, sha256)
    elif place.draws and not place.overlay_path(stem).is_file():
        _draw(place, stem, pair, read_array(array), known)
    return {
        **asked,
        "saliency": str(array),
        "overlay": str(place.overlay_path(stem)) if place.draws else None,
        "roi": list(pair.explained.crop.roi),
        "image_size": list(pair.explained.crop.image_size),
        "evaluations": known["evaluations"],
        "details": known["details"],
        **({} if pair.concept is None else told_of(pair.concept, pair.explained.sample)),
    }


def _settings(name: str, method: Method, pair: LoadedPair) -> Record:
    settings: Record = dict(vars(method))  # a frozen dataclass: its settings and nothing else
    if pair.negatives:
        settings["negatives"] = [case.identity for case in pair.negatives]
    if pair.contrast:
        settings["contrast"] = pair.contrast.identity
    if pair.origin and catalogue()[name].need_gallery:
        settings["gallery"] = pair.origin.digest
    if pair.concept:
        settings["concept"] = f"{pair.concept.name}:{pair.concept.sha256}"
    if pair.mean:
        settings["center"] = pair.mean.sha256
    return settings


def _explain(embedder: Embedder, pair: LoadedPair, method: Method) -> Explanation:
    target, explained = pair.samples()
    used = method if pair.mean is None else Centered(method, pair.mean)
    found = (
        used(embedder, target, explained)
        if pair.contrast is None
        else contrast(used, embedder, (target, pair.contrast.sample), explained)
    )
    if pair.mean is not None:
        warn_of_rounding(method, found)
    return explain_shown(found, pair.explained.crop)


def _details(explanation: Explanation, explains: str) -> Record:
    """What the method says of its map; the regions of matches under the names of their images."""
    details: Record = {**explanation.details}
    if explanation.matches:
        details["matches"] = [_regions(match, explains) for match in explanation.matches]
    return details


def _regions(match: Match, explains: str) -> Record:
    boxes = [list(match.target), list(match.explained)]
    query, retrieved = boxes[::-1] if explains == "query" else boxes
    return {"query": query, "retrieved": retrieved, "share": match.share}


def _draw(place: Output, stem: str, pair: LoadedPair, saliency: np.ndarray, found: Record) -> None:
    case = pair.explained
    assert case.picture is not None
    picture = overlay(case.picture.pixels, saliency, case.crop.roi, place.display)
    details = found["details"]
    assert isinstance(details, dict)
    boxes = [match[pair.explains] for match in details.get("matches", [])]
    with atomic_file(place.overlay_path(stem)) as file:
        draw_boxes(picture, boxes).save(file, format="png", compress_level=4)
