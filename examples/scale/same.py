"""Whether several routes gave the same: rows of embeddings byte by byte, hits and metrics exactly.

    python examples/scale/same.py OUT OUT ...        of one.sh, parallel.sh, ...; exit code 1 if not

What a record says of its own index or of the name of its embeddings is left out.
"""

import hashlib
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

OWN = {"retrieval.jsonl": "index", "metric.jsonl": "embeddings"}


def rows_of(out: Path) -> tuple[int, str]:
    """How many rows the embeddings have, and a hash of them, whatever parts they lie in."""
    found = sorted((out / "embeddings").glob("part-*.parquet")) or [out / "embeddings.parquet"]
    count, digest = 0, hashlib.sha256()
    for path in found:
        table = pq.read_table(path)
        for row in table.to_pylist():
            digest.update(repr(row).encode())
        count += table.num_rows
    return count, digest.hexdigest()


def records_of(path: Path) -> list[dict[str, object]]:
    """The records of a file without what is its own."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {key: value for key, value in each.items() if key != OWN[path.name]} for each in records
    ]


def main() -> None:
    """Compare every folder with the first one."""
    first, *others = map(Path, sys.argv[1:])
    count, digest = rows_of(first)
    print(f"{first.name}: {count} rows, {len(records_of(first / 'retrieval.jsonl'))} hits")
    failed = False
    for other in others:
        alike = {"rows": rows_of(other) == (count, digest)}
        alike |= {name: records_of(other / name) == records_of(first / name) for name in OWN}
        wrong = [name for name, same in alike.items() if not same]
        print(f"{other.name}: {'other ' + ', '.join(wrong) if wrong else 'the same'}")
        failed = failed or bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
