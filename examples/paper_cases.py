"""Keeps one query for each label with its first three images and one method: cases to look at.

python paper_cases.py right|wrong METHOD MAPS.jsonl

right: the most similar query of its label whose three images all have its label. wrong: the query
with the fewest right ones. Labels without such a query are left out.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Print the records of the chosen queries."""
    kind, method, source = sys.argv[1:]
    records = [json.loads(line) for line in Path(source).read_text().splitlines()]
    cases: dict[str, list[dict]] = {}
    for record in records:
        if record["method"] == method and record["rank"] <= 3:
            cases.setdefault(record["query"], []).append(record)
    chosen: dict[str, list[dict]] = {}
    for case in cases.values():
        label = case[0]["query_label"]
        if fits(case, kind) and (label not in chosen or rank(case) > rank(chosen[label])):
            chosen[label] = case
    for label in sorted(chosen):
        for record in chosen[label]:
            print(json.dumps(record))


def fits(case: list[dict], kind: str) -> bool:
    """Whether all images are right, or some are wrong."""
    return all(record["match"] for record in case) == (kind == "right")


def rank(case: list[dict]) -> tuple[int, float]:
    """The more wrong, the better; among equals the more similar."""
    wrong = sum(not record["match"] for record in case)
    return wrong, sum(record["similarity"] for record in case)


if __name__ == "__main__":
    main()
