"""The example data set: known opacities, honest splits, nuisances apart from the class."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parent.parent / "examples" / "phantoms.py"


@pytest.fixture(scope="module")
def phantoms() -> ModuleType:
    spec = importlib.util.spec_from_file_location("phantoms", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["phantoms"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(phantoms, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        phantoms.write(tmp_path / name, 6, 32, seed)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 13
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )
    pictures = {f: (tmp_path / "a" / f).read_bytes() for f in files if f.parts[0] == "images"}
    others = [path.read_bytes() for path in (tmp_path / "c" / "images").iterdir()]
    assert not set(pictures.values()) & set(others)


def test_classes_are_equal_and_no_patient_crosses_the_split(phantoms):
    rows = phantoms.plan(240, 0)
    counts = {
        (label, split): sum((row.label, row.split) == (label, split) for row in rows)
        for label in phantoms.CLASSES
        for split in phantoms.SPLITS
    }
    expected = {"train": 48, "val": 12, "test": 20}
    assert counts == {(c, s): n for c in phantoms.CLASSES for s, n in expected.items()}
    patients = {row.patient: (row.label, row.split) for row in rows}
    assert all(patients[row.patient] == (row.label, row.split) for row in rows)
    assert {row.view for row in rows} == {1, 2, 3}
    assert len({row.name for row in rows}) == 240


def test_the_table_names_an_image_and_a_mask_for_every_row(phantoms, tmp_path):
    phantoms.write(tmp_path, 9, 32, 0)
    rows = read(tmp_path)
    assert list(rows[0]) == ["path", "label", "patient", "split", "mask"]
    assert len(rows) == 9
    for row in rows:
        for column in ("path", "mask"):
            with Image.open(tmp_path / row[column]) as picture:
                assert (picture.mode, picture.size) == ("L", (32, 32))


def test_masks_are_empty_one_region_or_patches_in_both_lungs(phantoms):
    for patient in range(12):
        masks = {
            label: np.asarray(phantoms.phantom(phantoms.Row(label, patient, 1, "train"), 96, 0)[1])
            > 0
            for label in phantoms.CLASSES
        }
        assert not masks["clear"].any()
        assert 0.015 < masks["lobar"].mean() < 0.2
        assert 0.005 < masks["ground-glass"].mean() < 0.2
        at = phantoms.Place.draw(96, np.random.default_rng((0, 2, patient, 1, 0)))
        left, right = at.u < 0, at.u > 0
        both = {
            label: (mask & left).any() and (mask & right).any() for label, mask in masks.items()
        }
        assert both == {"clear": False, "lobar": False, "ground-glass": True}


def test_a_spot_is_one_opacity_on_the_side_of_its_label(phantoms):
    for patient in range(4):
        masks = {
            label: np.asarray(phantoms.phantom(phantoms.Row(label, patient, 1, "train"), 96, 0)[1])
            > 0
            for label in phantoms.SPOTS
        }
        assert not masks["clear"].any()
        at = phantoms.Place.draw(96, np.random.default_rng((0, 2, patient, 1, 0)))
        for label in phantoms.SPOTS[1:]:
            assert 0.01 < masks[label].mean() < 0.1
            assert not (masks[label] & ((at.u > 0) if label.endswith("left") else (at.u < 0))).any()


def test_outside_its_opacity_the_picture_does_not_know_its_class(phantoms):
    """The same patient and view in another class: the nuisances stay, only the lungs change."""
    for patient in range(6):
        drawn = [
            phantoms.phantom(phantoms.Row(c, patient, 1, "train"), 64, 0)
            for c in (*phantoms.CLASSES, *phantoms.SPOTS[1:])
        ]
        clear = np.asarray(drawn[0][0]).astype(int)
        at = phantoms.Place.draw(64, np.random.default_rng((0, 2, patient, 1, 0)))
        outside = (at.side > 0.85) | (at.v > 0.8) | (at.v < -0.95)
        for picture, mask in drawn[1:]:
            change = np.asarray(picture).astype(int) - clear
            assert np.abs(change[outside]).max() <= 1
            assert change[np.asarray(mask) > 0].mean() > 15


def test_brightness_and_contrast_alone_do_not_tell_the_class(phantoms):
    """Mean brightness spreads more within a class than it differs between classes."""
    means = {
        label: [
            np.asarray(phantoms.phantom(phantoms.Row(label, patient, 1, "train"), 32, 0)[0]).mean()
            for patient in range(offset, offset + 25)
        ]
        for offset, label in zip((0, 25, 50), phantoms.CLASSES, strict=True)
    }
    centres = [np.mean(values) for values in means.values()]
    assert np.ptp(centres) < np.mean([np.std(values) for values in means.values()])
