"""What leaks between splits, and which side stays."""

import numpy as np
import pytest

from xmir_cli.audit.leaks import COPIES, COPY_OF_PATIENT, PATIENT, Leak, find_leaks, kept_first
from xmir_cli.training.examples import role_of

NOBODY = np.full(4, -1)
ALONE = np.zeros(4, dtype=np.int64)


@pytest.mark.parametrize(
    ("splits", "leaves"),
    [
        (["train", "test", "train", "train"], [0, 2, 3]),
        (["test", "train", "val", "Testing"], [1, 2]),
        (["train", "val", None, "train"], [0, 3]),
        (["train", "fold", "train", None], [0, 2]),
        (["0", "1", "0", "2"], [1, 3]),
        (["Train", "train ", "TRAINING", "train"], []),
        (["Train", "train", "Test", "testing"], [0, 1]),
        (["train"] * 4, []),
        ([None] * 4, []),
    ],
)
def test_the_training_side_of_one_patient_leaves(splits, leaves):
    found = find_leaks(ALONE, np.zeros(4, dtype=np.int64), splits)
    assert [leak.row for leak in found] == leaves
    assert all(role_of(splits[leak.row]) != role_of(splits[leak.other]) for leak in found)
    assert all(leak.how == PATIENT for leak in found)


def test_copies_leak_whoever_their_patients_are():
    groups = np.array([1, 0, 1, 0])
    found = find_leaks(groups, np.array([0, 1, 2, 2]), ["train", "train", "test", "test"])
    assert found == [Leak(0, 2, COPIES)]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]])
def test_a_copy_of_an_image_that_leaks_by_its_patient_leaks_in_any_order(order):
    groups, patients = np.array([1, 0, 1, 0])[order], np.array([0, 0, 1, 1])[order]
    splits = np.array(["train", "test", "train", "train"])[order].tolist()
    found = {
        order[leak.row]: (order[leak.other], leak.how)
        for leak in find_leaks(groups, patients, splits)
    }
    assert found == {0: (1, PATIENT), 2: (1, COPY_OF_PATIENT)}  # not 3: it is no copy


def test_images_of_nobody_are_of_no_patient():
    assert find_leaks(ALONE, NOBODY, ["train", "test", "train", "test"]) == []


def test_of_copies_the_test_side_stays_then_the_first():
    assert kept_first([0, 1, 2, 3], ["train", "val", "test", "test"]) == [2, 3, 1, 0]
    assert kept_first([3, 0, 2], ["train"] * 4) == [0, 2, 3]
