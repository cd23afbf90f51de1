"""The description of a model may have been written by anybody: each value has its range."""

import json
import math

import pytest

from xmir_cli.errors import DataError
from xmir_cli.wire.model import ModelSpec, Preprocessing

PLAIN = ModelSpec("densenet121", "random:0", 256, weights_sha256="ab" * 32).to_json()
RECIPE = PLAIN["preprocessing"]

BAD = [
    *({"input_size": size} for size in (0, -1, 4097, 10**400, 2**63, 1.5, "9", True, None, [1])),
    *({"resize": size} for size in (0, -256, 8193, 10**18, math.inf, 256.0, "256", False, None)),
    *({"mean": mean} for mean in (None, 0.5, [], [1, 2], [0, 0, math.nan], [0, 0, math.inf])),
    *({"mean": mean} for mean in ([0, 0, 10**400], ["0", 0, 0], [0, 0, True], "000", [0] * 4)),
    *({"mean": mean} for mean in ([0, 0, 1e300], [0, 0, -1e7], {"a": 1, "b": 2, "c": 3})),
    *({"std": std} for std in ([0, 1, 1], [1, 1, -1], [1, 1, math.nan], [1, 1, math.inf], [1])),
    *({"std": std} for std in ([1, 1, 1e-300], [1, 1, 5e-324], [1, 10**400, 1], ["1", 1, 1])),
    *({"interpolation": each} for each in ("nearest", None, 3, [], {})),
    *({"jpeg": each} for each in ("fast", 1, [])),
    *({"window": each} for each in ("", "wide", "p5", "p9,3", "1,0", "nan,1", 5, [])),
    *({"window": each} for each in ("9" * 400 + ",1", "0," + "9" * 400, "1e3,2", "٣,4")),
    {"crop": "none"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=str)
def test_a_recipe_outside_its_ranges_is_refused(change):
    with pytest.raises(DataError, match=r"^here: model: not the description of a model \(") as e:
        ModelSpec.from_json({**PLAIN, "preprocessing": {**RECIPE, **change}}, "here")
    assert len(str(e.value)) < 200


@pytest.mark.parametrize(
    "change",
    [
        *({"head": head} for head in (0, -1, 65_537, 10**400, 1.0, "4", True, [])),
        *({"architecture": name} for name in ("", None, 5, [], "a\0b", "x" * 5000)),
        *({"weights": name} for name in ("", None, 5, "a\0b", "random:", "random:x")),
        *(
            {"weights": name}
            for name in ("random:1e9", "random:9223372036854775808", "random:" + "9" * 5000, {})
        ),
        *(
            {"weights_sha256": text}
            for text in ("no", "AB" * 32, "ab" * 33, None, 5, "ab" * 32 + "\n")
        ),
        *({"preprocessing": each} for each in (None, [], "x", 5, {})),
    ],
    ids=str,
)
def test_other_values_outside_their_ranges_are_refused(change):
    with pytest.raises(DataError, match=r"^here: model: not the description of a model"):
        ModelSpec.from_json({**PLAIN, **change}, "here")


@pytest.mark.parametrize("name", [*PLAIN, *(f"preprocessing.{each}" for each in RECIPE)])
def test_each_name_but_the_two_that_are_newer_is_needed(name):
    data = json.loads(json.dumps(PLAIN))
    inner = name.removeprefix("preprocessing.")
    del (data if inner == name else data["preprocessing"])[inner]
    if inner in {"window", "jpeg"}:
        assert ModelSpec.from_json(data, "here").to_json() == PLAIN
    else:
        with pytest.raises(DataError, match="model"):
            ModelSpec.from_json(data, "here")


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("timm:vit_tiny_patch16_224", "imagenet"),
        ModelSpec("a b/net.py:net\n", "/x/\udcff.safetensors", 65_536),
        ModelSpec("m", "random:-9223372036854775807", 1, Preprocessing(4096, 8192, "bicubic")),
        ModelSpec("m", "w", None, Preprocessing(1, 1, mean=(-1024.0,) * 3, std=(1e-6, 1, 1e6))),
        ModelSpec("m", "w", None, Preprocessing(window="-600,1500", jpeg="reduced")),
        ModelSpec("m", "w", None, Preprocessing(window="p0.5,99.5")),
    ],
)
def test_what_xmir_writes_is_read(spec):
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json())), "here") == spec
