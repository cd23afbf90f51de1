"""Groups as records: of every member, or summed up."""

from collections.abc import Iterator, Sequence

from xmir_cli.clusters.grouping import Grouping, GroupingRules
from xmir_cli.clusters.items import ClusterItem, ClusterKind
from xmir_cli.clusters.labels import compare_labels
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.cluster import ClusterRecord
from xmir_cli.wire.schemas.cluster_summary import ClusterSummaryRecord


def member_records(
    items: Sequence[ClusterItem], found: Grouping, rules: GroupingRules
) -> Iterator[Record]:
    """Group by group its exemplars, then the others, nearest to the middle first."""
    images = [item.image for item in items]
    clustering = _clustering(found, rules)
    for group in range(found.count):
        exemplars = found.exemplars(group, images, rules.exemplars)
        others = [place for place in found.members(group).tolist() if place not in exemplars]
        for place in [*exemplars, *others]:
            yield {
                **items[place].record,
                "schema": ClusterRecord.NAME,
                "cluster": group + 1,
                "exemplar": place in exemplars,
                "middle_distance": float(found.distances[place]),
                "clustering": clustering,
            }


def summary_records(
    kind: ClusterKind, items: Sequence[ClusterItem], found: Grouping, rules: GroupingRules
) -> Iterator[Record]:
    """One record a group."""
    images = [item.image for item in items]
    labels = compare_labels([item.label for item in items], found.groups)
    for group in range(found.count):
        own = [items[place] for place in found.members(group).tolist()]
        patients = {item.patient for item in own if item.patient is not None}
        exemplars = found.exemplars(group, images, rules.exemplars)
        yield {
            "schema": ClusterSummaryRecord.NAME,
            **kind.to_json(),
            "cluster": group + 1,
            "clusters": found.count,
            "n": len(own),
            "of": len(items),
            "share": len(own) / len(items),
            "images": len({item.image for item in own}),
            **({"patients": len(patients)} if patients else {}),
            "labels": {count.label: count.to_json() for count in labels[group]},
            "exemplars": [items[place].name for place in exemplars],
            "eigenvalues": found.eigenvalues.tolist(),
            "clustering": _clustering(found, rules),
        }


def _clustering(found: Grouping, rules: GroupingRules) -> Record:
    return {
        "clusters": "eigengap" if rules.groups is None else rules.groups,
        "found": found.count,
        "neighbors": found.neighbors,
        "seed": rules.seed,
    }
