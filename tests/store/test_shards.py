from dataclasses import dataclass
from pathlib import Path

import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.shards import Shard, missing_shards, parse_shard, refuse_missing


@dataclass(frozen=True)
class Part:
    path: Path
    shard: Shard | None
    job: str = "job"


def parts(*texts: str, job: str = "job") -> list[Part]:
    return [Part(Path(f"part-{n}"), parse_shard(text), job) for n, text in enumerate(texts)]


@pytest.mark.parametrize("units", [0, 1, 3, 4, 10, 1001])
@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_shards_share_all_units_in_order(units: int, count: int):
    shares = [list(Shard(number, count).share(units)) for number in range(1, count + 1)]
    assert [unit for share in shares for unit in share] == list(range(units))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    "text",
    ["", "1", "0/4", "5/4", "-1/4", "1/4/2", "a/b", "1 / 4", "1/", "/4", "\u0661/4", "1/9999999"],
)
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 # it has no words
        parse_shard(text)


def test_names_are_in_the_order_of_numbers():
    names = [Shard(number, 11).file_in(Path("a")).name for number in range(1, 12)]
    assert names == sorted(names)
    assert names[1] == "part-000002.parquet"


def test_missing_shards_are_named():
    assert missing_shards(parts("1/4", "4/4")) == [2, 3]
    assert missing_shards(parts("1/1")) == []
    assert missing_shards([Part(Path("a"), None, "")]) == []
    with pytest.raises(DataError, match=r"cxr: 2 of its 4 shards are missing: 2, 3"):
        refuse_missing(Path("cxr"), [2, 3], 4)
    with pytest.raises(DataError, match=r"39 of its 40 shards are missing: 1, 2, .*, 10 \.\.\."):
        refuse_missing(Path("cxr"), range(1, 40), 40)
    refuse_missing(Path("cxr"), [], 4)


@pytest.mark.parametrize(
    ("others", "line"),
    [
        (parts("2/3"), "part-0: shard 2/3 of another job, beside part-0, shard 1/2"),
        (parts("2/2", job="other"), "part-0: shard 2/2 of another job, beside part-0, shard 1/2"),
        ([Part(Path("x"), None, "")], "x: no shard, beside part-0, shard 1/2"),
        (parts("1/2"), "part-0: shard 1/2, which part-0 is, too"),
    ],
)
def test_parts_of_different_jobs_are_no_table(others: list[Part], line: str):
    with pytest.raises(DataError) as caught:
        missing_shards([*parts("1/2"), *others])
    assert str(caught.value) == line
