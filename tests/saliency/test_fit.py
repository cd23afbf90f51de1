"""What each method is fit for is said once, in its own file, and the same everywhere."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from xmir_cli.errors import SettingError
from xmir_cli.explain.fit import warn_of_unfit
from xmir_cli.saliency import AUTO, catalogue, choose_methods
from xmir_cli.scoring.names import BLIND

ROOT = Path(__file__).parents[2]


def test_controls_are_the_methods_that_say_so():
    said = {entry.name for entry in catalogue().values() if entry.control}
    assert said == set(BLIND)
    for entry in catalogue().values():
        assert entry.summary.startswith("Control: ") == entry.control


def test_the_first_page_says_what_each_method_is_fit_for():
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| what it answers |")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|", table, re.MULTILINE)
    assert dict(rows) == {
        name: entry.fit_for for name, entry in catalogue().items() if not entry.control
    }


@pytest.mark.parametrize("command", ["saliency", "sanity-check"])
def test_the_help_names_what_is_fit_for_convolutional_networks_only(xmir, command):
    text = " ".join(xmir(command, "--help").stdout.split())
    unfit = [entry.name for entry in catalogue().values() if entry.misleads_on_tokens]
    assert f"For convolutional networks only: {', '.join(unfit)}." in text


def test_the_page_of_each_method_says_it_too():
    page = (ROOT / "man" / "xmir-methods.7").read_text(encoding="utf-8").replace("\\-", "-")
    for name, entry in catalogue().items():
        own = page.partition(f".SS {name}\n")[2].partition(".SS ")[0]
        assert f"Fit for {entry.fit_for}." in own


@pytest.mark.parametrize(
    ("typed", "method"),
    [
        ({}, "activation"),
        ({"matches": "3"}, "activation"),
        ({"clip": "cell"}, "activation"),
        ({"window_size": "9"}, "occlusion"),
        ({"window_size": "9", "stride": "3"}, "occlusion"),
    ],
)
def test_without_a_method_it_is_the_one_that_finds_the_truth_or_has_the_settings(typed, method):
    assert list(choose_methods(AUTO, typed)) == [method]


def test_settings_of_no_usual_method_are_refused_by_it():
    with pytest.raises(SettingError, match="not a setting of activation") as caught:
        choose_methods(AUTO, {"masks": "9"})
    assert caught.value.hint == "It is one of rise."


@pytest.mark.parametrize(
    ("tokens", "attends", "said"),
    [
        (True, True, "found more. `method` activation found them"),
        (True, False, "found more; no method was tried on networks such as this one"),
        (False, True, "found more; no method was tried on networks such as this one"),
        (False, False, None),
    ],
)
def test_the_warning_says_what_was_tried_on_networks_of_the_kind(tokens, attends, said, capsys):
    embedder = SimpleNamespace(shares=SimpleNamespace(has_tokens=tokens, attends=attends))
    assert warn_of_unfit(["activation", "gradcam"], embedder) == (said is not None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (said is not None)
    assert all("warning: gradcam: fit for" in line and said in line for line in lines)
