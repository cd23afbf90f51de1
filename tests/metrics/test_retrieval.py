import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from xmir_cli.metrics import retrieval
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import evaluate, leave_one_out, warn_of_ties
from xmir_cli.metrics.scores import Scores

MEASURES = Measures((1, 3))
NO_PAIRS = np.zeros((9, 2), dtype=np.int64)


def _unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _random(count, classes=3, dim=8, seed=0, patients=None):
    generator = np.random.default_rng(seed)
    labels = [f"class-{n}" for n in generator.integers(0, classes, count)]
    groups = [None] * count
    if patients is not None:
        groups = [f"p{n}" if n else None for n in generator.integers(0, patients, count)]
    return LabelledVectors(_unit(generator.normal(size=(count, dim))), labels, groups)


def _naive(queries, gallery, own, cutoffs, same_group_counts=True):
    """The definitions with loops over queries and ranks."""
    rows = []
    for q in range(len(queries.labels)):
        ranked = []
        for g in range(len(gallery.labels)):
            kin = queries.groups[q] is not None and queries.groups[q] == gallery.groups[g]
            if g != own[q] and (same_group_counts or not kin):
                similarity = float(
                    queries.vectors[q].astype(float) @ gallery.vectors[g].astype(float)
                )
                ranked.append((-similarity, g))
        hits = [gallery.labels[g] == queries.labels[q] for _, g in sorted(ranked)]
        total = sum(hits)
        if not total:
            rows.append([np.nan] * len(Measures(cutoffs).names))
            continue
        precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
        discounts = [1 / np.log2(k + 2) for k in range(max(*cutoffs, len(hits)))]
        gains = [
            sum(d for d, hit in zip(discounts, hits[:k], strict=False) if hit)
            / sum(discounts[: min(k, total)])
            for k in (len(hits), *cutoffs)
        ]
        rows.append(
            [
                sum(p for p, hit in zip(precision, hits, strict=True) if hit) / total,
                *(sum(hits[:k]) / k for k in cutoffs),
                sum(hits[:total]) / total,
                sum(p for p, hit in zip(precision[:total], hits[:total], strict=True) if hit)
                / total,
                1 / (hits.index(True) + 1),
                gains[0],
                *(float(any(hits[:k])) for k in cutoffs),
                *gains[1:],
            ]
        )
    return np.array(rows)


def test_all_numbers_equal_their_naive_loops():
    images = _random(40, classes=4, patients=8)
    found = leave_one_out(images, MEASURES)
    own = range(40)
    np.testing.assert_allclose(found.scores.values, _naive(images, images, own, (1, 3)), atol=1e-12)
    np.testing.assert_allclose(
        found.other_groups.values, _naive(images, images, own, (1, 3), False), atol=1e-12
    )


def test_queries_against_another_gallery_equal_the_naive_loops():
    queries, gallery = _random(7, seed=1, patients=4), _random(30, seed=2, patients=4)
    own = np.array([-1, 3, -1, -1, 0, 29, -1])
    found = evaluate(queries, gallery, own, MEASURES)
    expected = _naive(queries, gallery, own, (1, 3))
    np.testing.assert_allclose(found.scores.values, expected, atol=1e-12)


def test_average_precision_equals_scikit_learns_where_scores_are_distinct():
    images = _random(60)
    found = leave_one_out(images, MEASURES).scores
    similarities = images.vectors.astype(float) @ images.vectors.T.astype(float)
    labels = np.array(images.labels)
    for q in range(60):
        others = np.arange(60) != q
        expected = average_precision_score(labels[others] == labels[q], similarities[q, others])
        assert found.values[q, 0] == pytest.approx(expected, abs=1e-12)


def test_clusters_far_apart_have_all_ones():
    images = LabelledVectors(
        _unit(np.repeat(np.eye(3), 4, axis=0)), ["a"] * 4 + ["b"] * 4 + ["c"] * 4, [None] * 12
    )
    found = leave_one_out(images, MEASURES).scores
    assert set(found.micro().values()) == set(found.macro().values()) == {1.0}


def test_the_released_evaluator_reaches_its_ceiling_on_300_images():
    labels = [name for name in "abc" for _ in range(100)]
    images = LabelledVectors(_unit(np.repeat(np.eye(3), 100, axis=0)), labels, [None] * 300)
    found = leave_one_out(images, Measures((1,), "x-mir")).scores.micro()
    assert found["map"] == pytest.approx(0.993322, abs=5e-7)
    assert found["p_at_1"] == 1


def _equal(labels, dim=37):
    row = np.random.default_rng(0).normal(size=(1, dim))
    return LabelledVectors(_unit(np.tile(row, (len(labels), 1))), labels, [None] * len(labels))


@pytest.mark.parametrize("labels", [["a"] * 90 + ["b"] * 10, ["b"] * 10 + ["a"] * 90])
def test_of_equal_images_any_may_be_the_first(labels):
    found = leave_one_out(_equal(labels), MEASURES).scores
    # the first is any of the 99 others
    assert found.micro()["p_at_1"] == pytest.approx((90 * 89 + 10 * 9) / 9900, abs=1e-15)
    assert found.micro()["p_at_3"] == found.micro()["p_at_1"]
    assert found.tied == 1


def test_only_ties_of_relevant_and_other_images_count():
    vectors = _unit([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]])
    images = LabelledVectors(vectors, ["a", "a", "b", "b", "c"], [None] * 5)
    assert leave_one_out(images, MEASURES).scores.tied == 0  # copies of one label
    mixed = LabelledVectors(vectors, ["a", "b", "a", "b", "a"], [None] * 5)
    found = leave_one_out(mixed, MEASURES).scores
    # for [1, 0] of a: its copy of b is alone, of the two at [0, 1] one is relevant
    assert found.pairs[0].tolist() == [2 * 2, 1]
    assert warn_of_ties(found) is not None


def test_the_order_of_rows_changes_no_number():
    generator = np.random.default_rng(0)
    vectors = _unit(generator.integers(-1, 2, size=(80, 6)) + 0.0 + 1e-3)  # many equal ones
    vectors = np.concatenate([vectors, _unit(np.eye(6)[generator.integers(0, 6, 40)])])
    labels = generator.choice(["a", "b", "a|b", "b|c", "a|b|c"], 120).tolist()
    patients = generator.choice(["p", "q", "r"], 120).tolist()
    images = LabelledVectors(vectors, labels, patients)
    found = leave_one_out(images, MEASURES)
    for _ in range(5):
        order = generator.permutation(120)
        other = leave_one_out(
            LabelledVectors(
                vectors[order], [labels[row] for row in order], [patients[row] for row in order]
            ),
            MEASURES,
        )
        for one, moved in [
            (found.scores, other.scores),
            (found.other_groups, other.other_groups),
        ]:
            assert moved.values.tobytes() == one.values[order].tobytes()
            assert moved.by_label() == one.by_label()
            assert (moved.micro(), moved.macro(), moved.tied) == (
                one.micro(),
                one.macro(),
                one.tied,
            )


def test_images_are_relevant_when_they_share_a_label_and_graded_by_how_many():
    vectors = _unit([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3]])
    gallery = LabelledVectors(vectors[1:], ["c", "b|d|a", "a"], [None] * 3)
    query = LabelledVectors(vectors[:1], ["a | b"], [None])
    found = evaluate(query, gallery, np.array([-1]), MEASURES).scores
    assert found.micro()["map"] == (1 / 2 + 2 / 3) / 2
    dcg, best = 2 / 3 / np.log2(3) + 1 / 2 / 2, 2 / 3 + 1 / 2 / np.log2(3)
    assert found.micro()["ndcg"] == pytest.approx(dcg / best, abs=1e-12)
    assert list(found.by_label()) == ["a", "b"]


def test_a_query_of_several_labels_counts_for_each():
    values = np.array([[1.0], [0.0]])
    scores = Scores(("map",), values, ["a|b", "b"], NO_PAIRS[:2])
    assert scores.by_label() == {"a": {"map": 1.0}, "b": {"map": 0.5}}
    assert (scores.micro(), scores.macro()) == ({"map": 0.5}, {"map": 0.75})


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    images = _random(50, patients=6)
    whole = leave_one_out(images, MEASURES)
    monkeypatch.setattr(retrieval, "_BLOCK", 150)
    blocks = []
    found = leave_one_out(images, MEASURES, blocks.append)
    np.testing.assert_allclose(found.scores.values, whole.scores.values, atol=1e-15)
    np.testing.assert_allclose(found.other_groups.values, whole.other_groups.values, atol=1e-15)
    assert blocks == [3] * 16 + [2]


def test_a_rotation_changes_nothing():
    images = _random(40)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))[0]
    turned = LabelledVectors(
        (images.vectors @ rotation).astype(np.float32), images.labels, images.groups
    )
    expected = leave_one_out(images, MEASURES).scores.values
    np.testing.assert_allclose(leave_one_out(turned, MEASURES).scores.values, expected, atol=1e-12)


def test_images_of_the_same_patient_can_be_left_out():
    # each image's twin is of the same patient; without it the nearest is of the other class
    vectors = _unit([[1, 0], [1, 0.01], [1, 0.5], [1, 0.51], [0, 1], [0, 1]])
    images = LabelledVectors(
        vectors, ["a", "a", "b", "b", "a", "b"], ["p", "p", "q", "q", None, None]
    )
    found = leave_one_out(images, MEASURES)
    assert found.scores.values[:4, 1].tolist() == [1, 1, 1, 1]
    assert found.other_groups.values[:4, 1].tolist() == [0, 0, 0, 0]


def test_without_groups_there_is_nothing_to_leave_out():
    assert leave_one_out(_random(10), MEASURES).other_groups is None


def test_near_duplicates_are_counted_without_the_query_itself():
    vectors = _unit([[1, 0], [1, 0], [1, 0.001], [0, 1], [1, 1]])
    images = LabelledVectors(vectors, ["a"] * 5, [None] * 5)
    assert leave_one_out(images, MEASURES).near_duplicates.tolist() == [2, 2, 2, 0, 0]


def test_micro_is_over_queries_and_macro_over_labels():
    values = np.array([[1.0], [0.0], [0.0], [0.5], [np.nan]])
    scores = Scores(("map",), values, ["a", "a", "a", "b", "c"], NO_PAIRS[:5])
    assert scores.dropped == 1
    assert scores.micro() == {"map": 0.375}
    assert scores.by_label() == {"a": {"map": pytest.approx(1 / 3)}, "b": {"map": 0.5}}
    assert scores.macro() == {"map": pytest.approx(5 / 12)}


def test_nothing_scored_gives_no_means():
    scores = Scores(("map",), np.array([[np.nan]]), ["a"], NO_PAIRS[:1])
    assert (scores.micro(), scores.macro(), scores.by_label()) == ({}, {}, {})


def test_inputs_are_not_changed():
    images = _random(20)
    before = images.vectors.copy()
    leave_one_out(images, MEASURES)
    np.testing.assert_array_equal(images.vectors, before)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_neither_blocks_of_products_nor_threads_change_a_bit(monkeypatch, threads):
    images = _random(90, patients=20)
    whole = leave_one_out(images, MEASURES)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for name, value in {"_PRODUCTS": 90 * 7, "_LEAST": 1, "_ROWS": 11, "_BLOCK": 90 * 2}.items():
        monkeypatch.setattr(retrieval, name, value)
    blocks = []
    found = leave_one_out(images, MEASURES, blocks.append)
    assert found.scores.values.tobytes() == whole.scores.values.tobytes()
    assert found.other_groups.values.tobytes() == whole.other_groups.values.tobytes()
    assert found.near_duplicates.tolist() == whole.near_duplicates.tolist()
    assert (sum(blocks), max(blocks)) == (90, 2)


def test_more_grades_than_a_byte_holds_are_told_apart():
    # the query has 80 labels, each image some of them and some others: many Jaccard indexes
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 160, 300)
    labels = ["|".join(map(str, generator.choice(160, size, replace=False))) for size in sizes]
    images = LabelledVectors(_unit(generator.normal(size=(300, 8))), labels, [None] * 300)
    query = LabelledVectors(images.vectors[:1], ["|".join(map(str, range(80)))], [None])
    found = evaluate(query, images, np.array([-1]), Measures((7,))).scores
    sets = [set(label.split("|")) for label in labels]
    asked = {*map(str, range(80))}
    grades = [len(own & asked) / len(own | asked) for own in sets]
    assert len(set(grades)) > 64
    similarities = images.vectors.astype(float) @ images.vectors[0].astype(float)
    assert found.values[0, 5] == pytest.approx(ndcg_score([grades], [similarities]), abs=1e-9)
    assert found.values[0, -1] == pytest.approx(ndcg_score([grades], [similarities], k=7), abs=1e-9)
