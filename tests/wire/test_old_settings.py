"""A record of an earlier version means today what it meant then."""

import pytest

from xmir_cli.saliency import catalogue
from xmir_cli.wire.old_settings import RENAMED, find_new_name, renew_settings


def test_old_names_and_values_become_those_of_today():
    old = {"window": 16, "stride": 4, "clip": "none", "tolerance": 1e-4}
    assert renew_settings("occlusion", old) == {
        "window_size": 16,
        "stride": 4,
        "clip_windows": False,
        "similarity_tolerance": 1e-4,
    }
    assert renew_settings("occlusion", {"clip": "mask"}) == {"clip_windows": True}
    assert renew_settings("occlusion", {"clip": []}) == {"clip_windows": []}  # as a record may say
    assert renew_settings("integrated-gradients", {"baseline": "blur", "steps": 9}) == {
        "path_baseline": "blur",
        "path_steps": 9,
    }
    assert renew_settings("attention", {"form": "triplet", "abs": True, "preset": "paper"}) == {
        "tuple": "triplet",
        "abs": True,
        "variant": "paper",
    }


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("occlusion", {"window_size": 16, "clip_windows": False}),
        ("activation", {"clip": "cell"}),
        ("gradcam", {}),
    ],
)
def test_settings_of_today_stay(method, settings):
    assert renew_settings(method, settings) == settings


def test_every_new_name_is_a_setting_and_no_old_one_is():
    for method, names in RENAMED.items():
        settings = {setting.name for setting in catalogue()[method].settings}
        assert set(names.values()) <= settings
        assert not set(names) & settings


def test_a_name_that_another_method_has_is_old_only_with_an_old_value():
    assert find_new_name("occlusion", "clip", "none") == "clip_windows"
    assert find_new_name("occlusion", "clip", "pair") is None
    assert find_new_name("occlusion", "window", "7") == "window_size"
    assert find_new_name("activation", "clip", "none") is None
