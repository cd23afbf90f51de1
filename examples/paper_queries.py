"""Keeps the records of some queries, shared evenly among their labels: a filter for JSON lines.

python paper_queries.py COUNT|all HITS.jsonl
"""

import json
import sys
from pathlib import Path


def choose(labels: dict[str, str], count: int) -> set[str]:
    """At most `count` of the queries `labels` (query -> label), evenly over labels and order."""
    groups: dict[str, list[str]] = {}
    for query, label in labels.items():
        groups.setdefault(label, []).append(query)
    chosen: set[str] = set()
    smallest_first = sorted(groups.values(), key=len)
    for place, group in enumerate(smallest_first):  # what a small class cannot give, others do
        share = min(len(group), (count - len(chosen)) // (len(groups) - place))
        chosen |= {group[number * len(group) // share] for number in range(share)}
    return chosen


def main() -> None:
    """Print the lines of the chosen queries as they are."""
    count, source = sys.argv[1:]
    lines = Path(source).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    labels = {record["query"]: record["query_label"] for record in records}
    chosen = choose(labels, len(labels) if count == "all" else int(count))
    for line, record in zip(lines, records, strict=True):
        if record["query"] in chosen:
            print(line)


if __name__ == "__main__":
    main()
