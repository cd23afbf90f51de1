"""Tests `repeat` and `reproduce`: does another network of the task give the same maps?

`repeat` is another training of the architecture, `reproduce` another architecture. Both see the
pictures in their own way, so that maps are compared where both see the picture, by its pixels.

Source: Arun et al., Assessing the trustworthiness of saliency maps for localizing abnormalities in
medical imaging, Radiology: Artificial Intelligence 2021.
"""

from collections.abc import Iterator
from pathlib import Path

from xmir_cli.metrics.sanity import agreement
from xmir_cli.model.embedder import Embedder
from xmir_cli.scoring.sanity.check import Check, summarize
from xmir_cli.scoring.sanity.mapper import Mapper, draw_anew
from xmir_cli.scoring.sanity.overlap import Side, overlap
from xmir_cli.scoring.sanity.pairs import read_again
from xmir_cli.wire.records import Record


def compare_networks(check: Check, other: Embedder, jobs: int | None) -> Iterator[Record]:
    """A record a method; those that draw, such as rise, draw anew for the other network."""
    inputs = read_again(other, check.inputs, jobs)
    mapper = Mapper(other, inputs, check.mapper.center)
    same = _design(check.mapper.embedder) == _design(other)
    test = "repeat" if same else "reproduce"
    sizes = check.mapper.embedder.size, other.size
    for name, method in check.methods.items():
        after = mapper.map(draw_anew(method), inputs.pairs)
        found = []
        for (_, path), *maps in zip(inputs.pairs, check.before[name], after, strict=True):
            crops = check.inputs.images[path].crop, inputs.images[path].crop
            sides = [Side(*each) for each in zip(maps, crops, sizes, strict=True)]
            found.append(agreement(*overlap(*sides)))
        against = {"against": other.spec.to_json()}
        record = check.record(name, test, {**against, **summarize(found)})
        yield from check.by_query(record, found)
        check.advance()


def _design(embedder: Embedder) -> tuple[object, ...]:
    """What two networks share that differ in their weights alone, wherever their code lies."""
    place, _, function = embedder.spec.architecture.rpartition(":")
    name = (Path(place).name, function) if place.endswith(".py") else None
    shapes = {each: value.shape for each, value in embedder.network.state_dict().items()}
    return name, embedder.spec.pool, shapes
