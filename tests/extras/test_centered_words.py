"""`--center` where words ask: the mean is taken off the text's embedding and the image's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip", reason="needs the extra clip")
pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras.towers import write_sides

BRIGHT = {"left": (200, 20), "right": (20, 200), "more": (180, 90), "both": (200, 200)}


def unit(vector):
    return np.array(vector, dtype=np.float64) / np.linalg.norm(vector)


def test_what_words_and_an_image_share_beyond_the_mean(xmir, tmp_path):
    write_sides(tmp_path / "sides")
    for name, (left, right) in BRIGHT.items():
        pixels = np.full((32, 32), left, np.uint8)
        pixels[:, 16:] = right
        Image.fromarray(pixels).save(f"{name}.png")
    names = [f"{name}.png" for name in BRIGHT]
    assert xmir("embed", *names, "--arch", "sides", "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "i.xmir").code == 0
    mean = np.mean([unit(each) for each in BRIGHT.values()], axis=0)
    hits = xmir("query", "--text", "left", "-i", "i.xmir").stdout
    result = xmir("saliency", "--method", "activation", "--center", "--no-overlay", stdin=hits)
    assert result.code == 0, result.stderr
    for record in result.records():
        image = unit(BRIGHT[Path(record["retrieved"]).stem])
        expected = unit(np.array([1, 0]) - mean) @ unit(image - mean)
        details = record["details"]
        assert details["centered"] == pytest.approx(expected, abs=1e-3)
        parts = details["mean"] + details["residual"]
        parts += sum(details.get(name, 0) for name in ("prefix", "rest"))
        places = details["centered"] - parts
        saliency = np.load(record["saliency"]).astype(np.float64)
        if "places" in details:
            assert details["places"] == pytest.approx(places, abs=1e-5)
        assert np.sign(saliency.sum()) == np.sign(places)
    scored = xmir("causal-metric", stdin=result.stdout)
    assert scored.code == 0, scored.stderr
    for record, before in zip(scored.records(), result.records(), strict=True):
        whole = max(before["details"]["centered"], 0)
        assert record["deletion_curve"][0] == pytest.approx(whole, abs=1e-4)
