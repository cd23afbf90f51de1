"""Images with several labels: losses against loops over pairs, batches, and the plan of a run."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from xmir_cli.errors import DataError
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.training.attention import draw_triplets
from xmir_cli.training.examples import Division, Example, leave_classes_out
from xmir_cli.training.losses.multi_similarity import multi_similarity_loss
from xmir_cli.training.losses.proxy_anchor import draw_proxies, proxy_anchor_loss
from xmir_cli.training.losses.sharing import sharing
from xmir_cli.training.losses.supcon import supcon_loss
from xmir_cli.training.losses.triplet import triplet_loss
from xmir_cli.training.plan import plan_run, tell_plan
from xmir_cli.training.recipe import Settings
from xmir_cli.training.sampler import (
    SAMPLERS,
    by_class,
    check_classes,
    drawn_classes,
    epoch_batches,
    least_images,
    whole_batches,
)
from xmir_cli.training.targets import Targets

SETS = [
    ["a|b", "b", "a", "c", "c|a", "b|c", "d", "a|b|c", "d|b", "a"],
    ["a|b", "b|a", "a", "b", "a", "a|b", "a|b", "b", "b", "b"],  # negatives are few
    ["a", "b", "c|a", "d|b", "e|a", "f|b", "g|a", "h|b", "a", "b"],
    ["a|z", "b|z", "c|z", "d|z", "a|z", "b|z", "c|z", "d|z", "a|z", "z"],  # and here none
]
PROXIES = draw_proxies(9, 4, 3).double()


def embeddings(seed: int) -> torch.Tensor:
    return torch.randn(10, 4, generator=torch.Generator().manual_seed(seed)).double()


def cosine(one: list[float], other: list[float]) -> float:
    product = sum(x * y for x, y in zip(one, other, strict=True))
    return product / math.hypot(*one) / math.hypot(*other)


def naive_triplet(raw, labels, positives, negatives):
    def distance(i, j):
        one, other = (
            [x / math.hypot(*row) for x in row] for row in (raw[i].tolist(), raw[j].tolist())
        )
        return math.dist(one, other)

    costs = [
        distance(a, p) - distance(a, n) + 0.2
        for a in range(len(labels))
        for p in positives[a]
        for n in negatives[a]
    ]
    violating = [cost for cost in costs if cost > 0]
    return sum(violating) / max(len(violating), 1)


def naive_supcon(raw, labels, positives, negatives):
    each = []
    for i in range(len(labels)):
        s = [cosine(raw[i].tolist(), row) / 0.1 for row in raw.tolist()]
        below = sum(math.exp(s[a]) for a in [*positives[i], *negatives[i]])
        logs = [math.log(math.exp(s[p]) / below) for p in positives[i]]
        each += [-sum(logs) / len(logs)] if logs else []
    return sum(each) / len(each)


def naive_multi_similarity(raw, labels, positives, negatives):
    total = 0.0
    for i in range(len(labels)):
        s = [cosine(raw[i].tolist(), row) for row in raw.tolist()]
        least = min((s[p] for p in positives[i]), default=math.inf)
        most = max((s[n] for n in negatives[i]), default=-math.inf)
        pulled = [s[p] for p in positives[i] if s[p] < most + 0.1]
        pushed = [s[n] for n in negatives[i] if s[n] > least - 0.1]
        total += math.log(1 + sum(math.exp(-2 * (x - 0.5)) for x in pulled)) / 2
        total += math.log(1 + sum(math.exp(50 * (x - 0.5)) for x in pushed)) / 50
    return total / len(labels)


def naive_proxy_anchor(raw, labels, *_):
    names = sorted({name for text in labels for name in text.split("|")})
    pull = push = 0.0
    for name, proxy in zip(names, PROXIES.tolist(), strict=False):
        s = {place: cosine(proxy, row) for place, row in enumerate(raw.tolist())}
        own = [place for place, text in enumerate(labels) if name in text.split("|")]
        pull += math.log(1 + sum(math.exp(-32 * (s[place] - 0.1)) for place in own))
        others = set(s).difference(own)
        push += math.log(1 + sum(math.exp(32 * (s[place] + 0.1)) for place in others))
    return pull / len(names) + push / len(names)


def with_proxies(raw, labels):
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    return proxy_anchor_loss(raw, labels, PROXIES[:count].to(raw))


ALL = {
    "triplet": (lambda raw, labels: triplet_loss(raw, labels).value, naive_triplet),
    "supcon": (supcon_loss, naive_supcon),
    "multi-similarity": (multi_similarity_loss, naive_multi_similarity),
    "proxy-anchor": (with_proxies, naive_proxy_anchor),
}


@pytest.mark.parametrize("labels", SETS)
@pytest.mark.parametrize("name", ALL)
def test_a_pair_is_positive_when_its_images_share_a_label(name, labels):
    loss, naive = ALL[name]
    count = range(len(labels))
    shared = [[share_label(one, other) for other in labels] for one in labels]
    positives = [[j for j in count if j != i and shared[i][j]] for i in count]
    negatives = [[j for j in count if not shared[i][j]] for i in count]
    targets = Targets(labels).of(list(count))
    for seed in (0, 1):
        raw = embeddings(seed).requires_grad_()
        found = loss(raw, targets)
        expected = naive(raw.detach(), labels, positives, negatives)
        assert found.item() == pytest.approx(expected, rel=1e-10, abs=1e-12)
        found.backward()
        assert raw.grad.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_flags_of_one_label_each_give_the_bits_of_numbers(name):
    loss, _ = ALL[name]
    numbers = torch.tensor([0, 1, 2, 0, 1, 2, 2, 1, 0, 0])
    flags = torch.nn.functional.one_hot(numbers, 3).bool()
    gradients = []
    for targets in (numbers, flags):
        raw = embeddings(5).float().requires_grad_()
        loss(raw, targets).backward()
        gradients.append(raw.grad)
    assert torch.equal(*gradients)


def test_labels_are_numbers_as_long_as_each_image_has_one():
    assert Targets(["b", "a", "c"]).of([2, 0]).tolist() == [2, 1]
    known = Targets(["b", "a|c", "c"])
    assert known.count == 3
    assert known.of([1, 0]).tolist() == [[True, False, True], [False, True, False]]
    assert sharing(known.of([0, 1, 2])).tolist() == [
        [True, False, False],
        [False, True, True],
        [False, True, True],
    ]


def drawn_sets(seed: int, images: int = 120) -> list[str]:
    """Labels as findings have them: some frequent, some rare, one only ever beside another."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(images):
        names = {
            name
            for name, p in zip("abcde", (0.5, 0.4, 0.3, 0.15, 0.02), strict=True)
            if rng.random() < p
        }
        names |= {"f"} if "d" in names else set()
        found.append("|".join(sorted(names)) or "none")
    return found


@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("seed", range(5))
def test_a_batch_has_enough_of_each_of_its_labels_and_no_image_twice(seed, classes):
    labels, k = drawn_sets(seed), 6
    names = drawn_classes(labels, k)
    assert {"a", "b", "c", "d", "f", "none"} >= set(names)
    for draw in (epoch_batches, whole_batches):
        batches = draw(labels, k, classes, (seed, 1))
        assert batches
        for batch in batches:
            assert k <= len(batch) == len(set(batch)) <= k * (classes or len(names))
            have = Counter(name for row in batch for name in parse_labels(labels[row]))
            full = [name for name in names if have[name] >= k]
            assert len(full) >= (classes or len(names))
        assert draw(labels, k, classes, (seed, 1)) == batches
        assert draw(labels, k, classes, (seed, 2)) != batches
    came = [row for batch in epoch_batches(labels, k, classes, (seed, 1)) for row in batch]
    assert len(came) == len(set(came))
    came = [row for batch in whole_batches(labels, k, classes, (seed, 1)) for row in batch]
    assert set(came) == {row for rows in names.values() for row in rows}


def test_images_that_have_both_labels_count_for_both():
    labels = ["a|b"] * 4 + ["b"] * 4
    (first,) = epoch_batches(labels, 4, None, (0, 1))
    assert sorted(first) == [0, 1, 2, 3]  # b has four by those of a; a has none left
    for batch in whole_batches(labels, 4, None, (0, 1)):
        assert sum(row < 4 for row in batch) == 4


@pytest.mark.parametrize("sampler", ["smallest", "all"])
@pytest.mark.parametrize("classes", [None, 2, 3])
def test_the_plan_counts_the_batches_of_several_labels(classes, sampler):
    labels = tuple(drawn_sets(1))
    settings = Settings(epochs=4, per_class=6, classes_per_batch=classes, seed=3, sampler=sampler)
    lengths = [len(SAMPLERS[sampler](labels, 6, classes, (3, number))) for number in (1, 2, 3, 4)]
    plan = plan_run(settings, labels)
    assert plan.lengths == tuple(lengths)
    first, second, _ = tell_plan(plan, labels, [], str)
    count, drawn = len(by_class(labels)), len(drawn_classes(labels, 6))
    rare = f", {count - drawn} of them too rare to fill a batch"
    assert count > drawn
    assert first.startswith(f"training on 120 images of {count} classes{rare}: ")
    each = classes or len(drawn_classes(labels, 6))
    assert f"each on {each} classes with at least 6 images; an epoch " in second
    batches = SAMPLERS[sampler](labels, 6, classes, (3, 1))
    used = sum(map(len, batches))
    ending = f"some again: {used} views" if sampler == "all" else f"{used} of the 120 images"
    assert second.endswith(ending)


def test_a_batch_may_be_as_small_as_one_label():
    assert least_images(["a", "b"] * 8, 4, None) == 8
    assert least_images(["a", "b", "c"] * 8, 4, 2) == 8
    assert least_images(["a", "a|b", "b"] * 8, 4, None) == 4


def test_rare_labels_are_not_drawn_but_still_shared():
    labels = ["a|r", "a", "a", "b|r", "b", "b", "r"]
    assert check_classes(labels, 3, None) == {}
    labels = labels[:-1]
    assert check_classes(labels, 3, None) == {"r": 2}
    assert set(drawn_classes(labels, 3)) == {"a", "b"}
    shared = sharing(Targets(labels).of(range(6)))
    assert shared[0, 3]
    assert not shared[1, 3]


def test_images_of_rare_labels_alone_are_left_out():
    rows = [Example(name, name, name) for name in ("a", "a|r", "r", "r|s", "b")]
    left = leave_classes_out(Division(rows, rows, None), {"r", "s"})
    assert [row.label for row in left.training] == ["a", "a|r", "b"]
    assert left.training == left.validation


def test_what_all_images_share_is_named():
    with pytest.raises(DataError) as caught:
        check_classes(["a|z", "b|z", "a|z", "b|z"], 2, None)
    assert str(caught.value) == "every two images share a label: there is nothing to tell apart"
    assert caught.value.hint == "Every image has z: leave it out."


def test_triplets_share_a_label_and_none():
    labels = ["a|b", "a", "b", "c|d", "c", "d", "a|d", "b|c|e", "e", "b"]
    shared = [[share_label(one, other) for other in labels] for one in labels]
    for seed in range(30):
        drawn = draw_triplets(Targets(labels).of(range(10)), np.random.default_rng(seed))
        assert len(drawn) == 3
        for anchor, positive, negative in drawn.tolist():
            assert anchor != positive
            assert shared[anchor][positive]
            assert not shared[anchor][negative]


def test_anchors_come_again_where_few_have_a_negative():
    labels = ["z|a", "z|b", *["z|a|b"] * 10, "a", "b"]
    drawn = draw_triplets(Targets(labels).of(range(14)), np.random.default_rng(0))
    assert len(drawn) == 4
    assert {frozenset((anchor, negative)) for anchor, _, negative in drawn.tolist()} <= {
        frozenset((0, 13)),
        frozenset((1, 12)),
        frozenset((12, 13)),
    }


def test_a_batch_that_shares_one_label_has_no_triplets():
    targets = Targets(["z|a", "z|b", "z"]).of([0, 1, 2])
    with pytest.raises(DataError) as caught:
        draw_triplets(targets, np.random.default_rng(0))
    assert "all of its images share a label" in str(caught.value)
