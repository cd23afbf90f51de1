"""Fit the direction of a concept to examples of it."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Floats
from xmir_cli.commands.concept import Concept
from xmir_cli.console import Records, Skips
from xmir_cli.errors import DataError, SettingError
from xmir_cli.gallery.engines import make_absolute, open_gallery
from xmir_cli.gallery.protocol import Gallery
from xmir_cli.inputs import find_index
from xmir_cli.metrics.directions import (
    count_chance,
    difference_of_means,
    held_out_auroc,
    logistic_weights,
    shuffle_kinds,
    shuffled_differences,
    unit_directions,
)
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.model.named import trust
from xmir_cli.retrieval.examples import ConceptExample, ExampleSource, refuse_shared, without_copies
from xmir_cli.store.concepts import write_concept
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.concept import ConceptRecord

__all__ = ["Concept", "run"]

_FEW = 20  # shuffles that differ, below which p says little


def run(asked: Concept) -> Records:
    """One `xmir.concept/1` record, of the direction that was written."""
    if asked.method == "logistic" and find_spec("sklearn") is None:
        raise DataError("a logistic regression needs scikit-learn", "pip install 'xmir[concept]'")
    skips = Skips()
    source = _source(asked, skips)
    positive = _examples(source, "positive", asked.positive or ())
    negative = _examples(source, "negative", asked.negative or ())
    refuse_shared(positive, negative)
    examples = [*positive, *negative]
    kinds = np.arange(len(examples)) < len(positive)
    vectors = np.stack([each.vector for each in examples]).astype(np.float64)
    units = [each.unit for each in examples]
    fit = difference_of_means if asked.method == "means" else logistic_weights
    direction = unit_directions(fit(vectors, kinds[None]))[0]
    if not direction.any():
        raise DataError("the positive and the negative examples do not differ")
    shuffled = shuffle_kinds(kinds, units, asked.permutations, asked.seed)
    by_chance = unit_directions(shuffled_differences(vectors, shuffled, fit))
    apart = [_apart(vectors, each, way) for each, way in zip(shuffled, by_chance, strict=True)]
    own = _apart(vectors, kinds, direction)
    auroc = held_out_auroc(vectors, kinds, units, fit, asked.seed)
    told: Record = {
        "method": asked.method,
        "positive": len(positive),
        "negative": len(negative),
        "units": len(set(units)),
        "dim": len(direction),
        "apart": own,
        "p": float(count_chance(np.array([own]), np.array(apart)[:, None])[0]),
        **({} if auroc is None else {"auroc": auroc}),
        "permutations": asked.permutations,
        "seed": asked.seed,
        "skipped": skips.total,
    }
    sha256 = write_concept(asked.output, direction, by_chance, source.spec, told)
    yield {
        "schema": ConceptRecord.NAME,
        "path": str(asked.output),
        **told,
        "sha256": sha256,
        "model": source.spec.to_json(),
    }
    different = len(np.unique(shuffled, axis=0))
    if different < min(_FEW, asked.permutations):
        console.warning(
            f"the examples can be shuffled in {different} ways only, so that no p lies far below "
            f"{1 / different:.2g}; take more of them, of more patients"
        )
    return skips.finish(len(examples), "used")


def _apart(vectors: Floats, kinds: np.ndarray, direction: Floats) -> float:
    """How far the means of both kinds lie apart along a direction."""
    along = vectors @ direction
    return float(along[kinds].mean() - along[~kinds].mean())


def _source(asked: Concept, skips: Skips) -> ExampleSource:
    if asked.model is not None:
        trust(asked.model)
    named = resolve_model(asked.choice) if asked.choice.is_named and asked.index is None else None

    def load(spec: ModelSpec) -> Embedder:
        return load_embedder(spec, asked.device, asked.precision, asked.batch)

    def open_index() -> Gallery:
        return open_gallery(make_absolute(find_index(asked.index)), asked.model)

    return ExampleSource(open_index, load, named, asked.jobs, skips.add)


def _examples(source: ExampleSource, setting: str, names: Sequence[str]) -> list[ConceptExample]:
    """What shows the concept, or does not; raises SettingError where nothing is left."""
    with console.progress(setting, len(names)) as bar:
        found: list[ConceptExample] = []
        for name in names:
            found += source.find(setting, name)
            bar.advance()
    if not found:
        raise SettingError(setting, "no example could be used", value=", ".join(names))
    return without_copies(found)
