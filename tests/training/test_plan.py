"""How many steps a run has, and how it is told before the first one."""

from dataclasses import replace

import pytest

from xmir_cli.training.plan import plan_run, tell_plan
from xmir_cli.training.recipe import DEFAULT, PAPER, Settings
from xmir_cli.training.sampler import SAMPLERS

LABELS = ("b",) * 50 + ("a",) * 37 + ("c",) * 40


@pytest.mark.parametrize("sampler", ["smallest", "all"])
@pytest.mark.parametrize("classes", [None, 2, 3])
def test_the_plan_counts_the_batches_that_will_be_drawn(classes, sampler):
    settings = Settings(epochs=4, per_class=8, classes_per_batch=classes, seed=3, sampler=sampler)
    draw = SAMPLERS[sampler]
    drawn = [len(draw(LABELS, 8, classes, (3, number))) for number in (1, 2, 3, 4)]
    plan = plan_run(settings, LABELS)
    assert (plan.lengths, plan.epochs, plan.steps) == (tuple(drawn), 4, sum(drawn))
    assert [plan.until(number) for number in (0, 1, 4)] == [0, drawn[0], sum(drawn)]
    counted = plan_run(replace(settings, steps=sum(drawn[:2]) + 1), LABELS)
    assert counted.lengths == (*drawn[:2], 1)


def test_the_share_that_is_done_is_that_of_the_steps():
    epochs = plan_run(Settings(epochs=4, per_class=12), LABELS)
    steps = plan_run(Settings(steps=12, per_class=12), LABELS)
    assert epochs.lengths == steps.lengths == (3, 3, 3, 3)
    for number, part in ((1, 0.0), (2, 0.5), (4, 1.0)):
        assert steps.share_done(number, part) == pytest.approx(epochs.share_done(number, part))
    cut = plan_run(Settings(steps=5, per_class=12), LABELS)
    assert cut.share_done(2, 0.5) == pytest.approx(0.8)  # the fourth of five is half done


def test_the_paper_makes_620_steps_on_covidx():
    labels = ("pneumonia",) * 5464 + ("normal",) * 7966 + ("covid",) * 505
    plan = plan_run(PAPER, labels)
    assert (plan.epochs, plan.steps, set(plan.lengths)) == (20, 620, {31})


@pytest.mark.parametrize(
    ("sizes", "epochs", "steps"),
    [((34, 33, 33), 27, 81), ((287, 254, 65), 5, 90), ((7966, 5464, 505), 5, 2490)],
)
def test_a_run_of_no_given_length_has_80_steps_and_5_epochs(sizes, epochs, steps):
    labels = [name for name, size in zip("abc", sizes, strict=True) for _ in range(size)]
    plan = plan_run(DEFAULT, tuple(labels))
    assert (plan.epochs, plan.steps) == (epochs, steps)
    assert plan.share_done(epochs, 1.0) == pytest.approx(1)
    _, second, _ = tell_plan(plan, labels, [], str)
    assert f"{steps} steps in all (from 80 steps and 5 epochs on), each on" in second


def test_a_run_is_told_in_three_lines():
    plan = plan_run(Settings(steps=5, per_class=16, freeze_layers=20), LABELS)
    frozen = [f"features.{number}" for number in range(20)]
    first, second, third = tell_plan(plan, LABELS, frozen, str)
    assert first == "training on 127 images of 3 classes: a 37, b 50, c 40"
    assert second == (
        "3 epochs of 2 steps, the last one of 1, 5 steps in all, each on 3 classes x 16 images; "
        "an epoch ends when a runs out: it uses 96 of the 127 images"
    )
    assert third == (
        "frozen: features.0, features.1, features.2, features.3, features.4, features.5, "
        "... 8 more ..., features.14, features.15, features.16, features.17, features.18, "
        "features.19; kept: the weights of the last epoch"
    )


@pytest.mark.parametrize(
    ("sampler", "told"), [("smallest", "ends when a runs out"), ("all", "uses each of the 127")]
)
def test_a_run_of_less_than_an_epoch_tells_of_a_whole_one(sampler, told):
    plan = plan_run(Settings(steps=1, per_class=16, sampler=sampler), LABELS)
    _, second, _ = tell_plan(plan, LABELS, [], str)
    assert f"1 step in all, each on 3 classes x 16 images; a whole epoch {told}" in second


def test_frozen_batch_norms_are_told_as_one():
    plan = plan_run(Settings(freeze_batchnorm=True), LABELS)
    *_, last = tell_plan(plan, LABELS, [], str, norms=49)
    assert last == "frozen: every batch norm (49); kept: the weights of the last epoch"


def test_many_classes_are_told_by_the_smallest_and_the_largest():
    labels = [name for place, name in enumerate("abcdefg") for _ in range(10 + place)]
    plan = plan_run(Settings(epochs=1, per_class=10), tuple(labels))
    first, second, _ = tell_plan(plan, labels, [], str)
    assert first == "training on 91 images of 7 classes: from a 10 to g 16"
    assert second.startswith("1 epoch of 1 step, 1 step in all, each on 7 classes x 10 images; ")
