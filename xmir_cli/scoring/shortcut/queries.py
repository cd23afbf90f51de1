"""What each image has of the tests, whose means are the tests' own numbers."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.labels import share_label
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.scoring.shortcut.effects import first_hits, score
from xmir_cli.scoring.shortcut.images import HiddenImages
from xmir_cli.wire.records import Record

_SHARED = ("test", "part", "area", "fill", "method")  # with the record of the test
Values = Mapping[str, Sequence[object]]  # one an image


def retrieval_by_query(whole: LabelledVectors, hidden: LabelledVectors) -> Values:
    """Average precision and first hit of each image, as it is and with the part hidden."""
    shown, left = score(whole), score(hidden)
    place = {name: number for number, name in enumerate(shown.names)}
    hits, others = first_hits(whole), first_hits(hidden)
    return {
        "map": _known(left.values[:, place["map"]]),
        "map_whole": _known(shown.values[:, place["map"]]),
        "p_at_1": _known(left.values[:, place["p_at_1"]]),
        "p_at_1_whole": _known(shown.values[:, place["p_at_1"]]),
        "changed": [float(one != other) for one, other in zip(hits, others, strict=True)],
    }


def saliency_by_query(whole: LabelledVectors, shares: Floats, hits: Integers) -> Values:
    """The share of each image's positive saliency in the part [2, N], and whether its hit is right.

    The second row is that of the part of another image there.
    """
    right = [
        None if hit < 0 else share_label(label, whole.labels[hit])
        for label, hit in zip(whole.labels, hits.tolist(), strict=True)
    ]
    return {"share": _known(shares[0]), "share_exchanged": _known(shares[1]), "match": right}


def query_records(images: HiddenImages, of_test: Record, values: Values) -> Iterator[Record]:
    """A record an image, in their order."""
    shared = {name: of_test[name] for name in _SHARED if name in of_test}
    for row, (item, identity) in enumerate(zip(images.items, images.identities, strict=True)):
        patient = item.text("patient")
        yield {
            **shared,
            "query": item.path,
            "query_identity": identity,
            "query_label": item.text("label"),
            **({"query_patient": patient} if patient else {}),
            **{name: each[row] for name, each in values.items()},
        }


def _known(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
