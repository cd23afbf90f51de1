"""What is said, refused and done where the network is a transformer."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.saliency import catalogue

NETWORKS = Path(__file__).parents[1] / "networks" / "attending.py"
OTHERS = f"{NETWORKS.with_name('tokens.py')}:{{}}"
TOKENS, MEAN = f"{NETWORKS}:first", f"{NETWORKS}:mean"
UNFIT = [entry.name for entry in catalogue().values() if entry.misleads_on_tokens]
SAID = "fit for convolutional networks; on transformers with planted opacities a blob in the"


@pytest.fixture
def pair():
    for seed, name in enumerate(("a.png", "b.png")):
        coarse = np.random.default_rng(seed).integers(0, 255, (4, 4), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32), Image.Resampling.NEAREST).save(name)
    return ("--query", "a.png", "--image", "b.png", "--image", "a.png")


@pytest.fixture
def explain(xmir, pair):
    def run(method, *flags, arch=TOKENS):
        network = ("--arch", arch, "--weights", "random:0", "--no-overlay")
        return xmir("saliency", *pair, *network, "--method", method, *flags)

    return run


@pytest.mark.parametrize("method", [name for name in UNFIT if name != "weight-transfer"])
def test_a_method_that_misleads_on_transformers_says_so_once(explain, method, tiny_arch):
    flags = ("--path-steps", "2") if method == "integrated-gradients" else ()
    result = explain(method, *flags, arch=MEAN)
    assert result.code == 0
    assert result.stderr == (
        f"xmir: warning: {method}: {SAID} middle found more. --method activation found them\n"
    )
    assert explain(method, *flags, arch=tiny_arch).stderr == ""


def test_methods_that_found_the_truth_are_not_warned_of(explain):
    fit = "activation,occlusion,center,rollout"
    result = explain(fit, "--window-size", "8", "--stride", "8")
    assert (result.code, result.stderr) == (0, "")


def test_other_commands_warn_too(xmir, pair):
    Path("l.csv").write_text("path,label\na.png,x\nb.png,y\n")
    network = ("--arch", MEAN, "--weights", "random:0")
    result = xmir("diff-saliency", "l.csv", *network, "--method", "gradcam", "-o", "diff")
    assert (result.code, result.stderr.count(SAID)) == (0, 1)
    assert result.records()[0]["method"] == "gradcam"
    made = xmir("saliency", *pair, *network, "--method", "center").records()
    asked = "".join(f"{json.dumps(each)}\n" for each in made[:1])
    result = xmir("sanity-check", "--method", "gradcam,activation", "--seeds", "3", stdin=asked)
    assert (result.code, result.stderr.count(SAID)) == (0, 1)


def test_the_default_on_a_transformer_shares_out_the_first_tokens(xmir, pair):
    network = ("--arch", TOKENS, "--weights", "random:0")
    for record in xmir("saliency", *pair, *network).records():
        assert record["method"] == "activation"
        details = record["details"]
        parts = sum(details[name] for name in ("places", "prefix", "rest", "residual"))
        assert parts == pytest.approx(record["similarity"], abs=1e-5)
        assert "attention" in details["held"]


@pytest.mark.parametrize(
    ("arch", "flags"),
    [
        (TOKENS, ("--method", "activation,bilrp")),
        (MEAN, ("--method", "activation")),
        (OTHERS.format("class_token"), ("--method", "activation", "--path", "direct")),
        (OTHERS.format("after_pooling"), ("--method", "activation,bilrp")),
        (OTHERS.format("after_pooling"), ("--method", "activation", "--layer", "16x16")),
    ],
)
def test_centred_shares_of_tokens_and_maps_sum_to_the_centred_similarity(xmir, pair, arch, flags):
    network = ("--arch", arch, "--weights", "random:0")
    for seed in (5, 6, 7):
        coarse = np.random.default_rng(seed).integers(0, 255, (4, 4), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32), Image.Resampling.NEAREST).save(f"{seed}.png")
    assert xmir("embed", "5.png", "6.png", "7.png", "b.png", *network, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    result = xmir("saliency", *pair, *network, *flags, "--center", "-i", "e.xmir", "--no-overlay")
    assert (result.code, result.stderr) == (0, "")
    for record in result.records():
        details = record["details"]
        assert abs(details["centered"] - record["similarity"]) > 0.01 or record["query"] == "a.png"
        grid = re.search(r"(\d+)x\1", str(details["layer"]))[1]
        places = float(np.load(record["saliency"]).astype(np.float64).mean()) * int(grid) ** 2
        names = [name for name in ("prefix", "rest", "residual", "mean") if name in details]
        total = places + sum(details[name] for name in names)
        assert total == pytest.approx(details["centered"], abs=1e-5)
        assert details["residual"] == pytest.approx(0, abs=1e-4)


def test_rollout_is_a_control_that_does_not_see_the_query(explain, xmir, tiny_arch):
    records = explain("rollout,activation").records()
    maps = [np.load(each["saliency"]) for each in records if each["method"] == "rollout"]
    assert len(maps) == 2
    assert {each["evaluations"] for each in records if each["method"] == "rollout"} == {1}
    own = [each for each in records if each["method"] == "activation"]
    lines = "".join(f"{json.dumps(each)}\n" for each in own)
    scored = xmir("causal-metric", "--control", "rollout,center", stdin=lines)
    assert (scored.code, scored.stderr) == (0, "")
    rolled = "".join(f"{json.dumps(each)}\n" for each in records if each["method"] == "rollout")
    alone = xmir("causal-metric", stdin=rolled).records()
    for mine, control in zip(alone, scored.records(), strict=True):
        assert control["insertion_control"]["rollout"] == pytest.approx(mine["insertion"], abs=1e-5)
    refused = explain("rollout", arch=tiny_arch)
    assert (refused.code, refused.stdout) == (6, "")
    assert refused.stderr.splitlines()[0] == (
        "xmir: error: no attention rollout of this network: it has no attention"
    )
    other = explain("activation", arch=tiny_arch).stdout
    result = xmir("causal-metric", "--control", "rollout", stdin=other)
    assert (result.code, result.stdout) == (5, "")
    assert "no attention rollout of this network: it has no attention" in result.stderr


REFUSED = (
    "gradcam is left out: no cell of the last map counts for this embedding, which a class token "
    "holds"
)


def test_a_method_that_is_refused_leaves_the_others_their_maps(explain):
    result = explain("activation,gradcam", arch=OTHERS.format("class_token"))
    assert (result.code, [each["method"] for each in result.records()]) == (3, ["activation"] * 2)
    assert result.stderr.splitlines()[1:] == [
        f"xmir: warning: {REFUSED}",
        "xmir: note: 2 explained, 2 skipped (2 refused)",
    ]
    alone = explain("gradcam", arch=OTHERS.format("class_token"))
    assert (alone.code, alone.stdout) == (6, "")
    both = explain("gradcam,rollout", arch=OTHERS.format("class_token"))
    assert both.code == 3


def test_methods_that_are_all_refused_end_as_the_first_does_alone(explain, tiny_arch):
    result = explain("rollout,rollout", arch=tiny_arch)
    assert (result.code, result.stdout) == (6, "")


def test_a_setting_that_cannot_be_ends_it_whichever_methods_are_asked(explain):
    result = explain("activation,gradcam", "--layer", "5x5")
    assert (result.code, result.stdout) == (2, "")


def test_the_check_goes_on_with_what_is_not_refused(xmir, pair):
    network = ("--arch", OTHERS.format("class_token"), "--weights", "random:0")
    made = xmir("saliency", *pair, *network, "--method", "center", "--no-overlay").stdout
    result = xmir("sanity-check", "--method", "gradcam,occlusion", "--seeds", "3", stdin=made)
    assert result.code == 3
    assert {each["method"] for each in result.records()} == {"occlusion"}
    assert f"xmir: warning: {REFUSED}" in result.stderr.splitlines()
