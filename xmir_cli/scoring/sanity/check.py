"""What a check is asked to do, and the parts that the records of all tests have."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.metrics.sanity import Agreement
from xmir_cli.saliency.sample import Method
from xmir_cli.scoring.image_set import hash_names
from xmir_cli.scoring.names import AGREEMENTS
from xmir_cli.scoring.sanity.mapper import Mapper
from xmir_cli.scoring.sanity.pairs import Inputs
from xmir_cli.scoring.sanity.verdict import judge, not_judged
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.sanity import SanityRecord


@dataclass(frozen=True)
class Check:
    """The maps that are there, and what every test of them goes by."""

    methods: Mapping[str, Method]
    before: Mapping[str, Sequence[Floats]]  # the maps of all pairs by each, as they are
    mapper: Mapper  # what made them
    inputs: Inputs
    thresholds: Mapping[str, float]  # by test
    advance: Callable[[], None]  # says that a part is done
    per_query: bool = False  # whether each query has records of its own

    @cached_property
    def _images_sha256(self) -> str:
        images = self.inputs.images
        return hash_names(
            " ".join(images[path].identity for path in pair) for pair in self.inputs.pairs
        )

    def record(self, name: str, test: str, found: Record, judged: bool = True) -> Record:
        """What a test found of a method, with its verdict where it is `judged`."""
        settings = {**vars(self.methods[name]), **({"center": True} if self.mapper.center else {})}
        head = {"schema": SanityRecord.NAME, "method": name, "settings": settings, "test": test}
        threshold = self.thresholds[test]
        verdict = judge(test, found, threshold) if judged else not_judged(threshold)
        about = {"images_sha256": self._images_sha256}
        return {**head, **found, **verdict, **about, "model": self.mapper.embedder.spec.to_json()}

    def by_query(
        self, record: Record, found: Sequence[Agreement], places: Sequence[int] | None = None
    ) -> Iterator[Record]:
        """The record of a test, and behind it one of each query, without a verdict, if wanted.

        `found` has the agreements of the pairs at `places` (None: of all), once or several times.
        """
        yield record
        if not self.per_query:
            return
        pairs = list(self.inputs.pairs)
        places = range(len(pairs)) if places is None else places
        queries: dict[str, list[Agreement]] = {}
        for number, each in enumerate(found):
            queries.setdefault(pairs[places[number % len(places)]][0], []).append(each)
        shared = {name: each for name, each in record.items() if not name.startswith("change")}
        for query, own in queries.items():
            patient = self.inputs.about[query].patient
            yield {
                **shared,
                "query": query,
                "query_identity": self.inputs.images[query].identity,
                "query_label": self.inputs.about[query].label,
                **({"query_patient": patient} if patient else {}),
                **summarize(own),
                **not_judged(self.thresholds[str(record["test"])]),
            }


def tell_seeds(seeds: Iterable[int]) -> Record:
    """What a record says of those that its test drew by."""
    numbers = list(seeds)
    return {"seeds": len(numbers), "seed_numbers": numbers}


def summarize(agreements: Sequence[Agreement]) -> Record:
    """The means and deviations over all maps for which a number is defined; None without any."""
    summary: Record = {"n": len(agreements)}
    for name in AGREEMENTS:
        summary |= average(name, [vars(each)[name] for each in agreements])
    summary["undefined"] = sum(math.isnan(each.spearman) for each in agreements)
    return summary


def average(name: str, found: Sequence[float]) -> Record:
    """The mean and the deviation of those numbers that are; None without any."""
    values = np.array(found)
    values = values[~np.isnan(values)]
    return {
        name: float(values.mean()) if len(values) else None,
        f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
    }
