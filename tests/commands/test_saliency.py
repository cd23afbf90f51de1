import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.render.colormap import COLORMAPS
from xmir_cli.saliency import choose_methods
from xmir_cli.saliency.presets import PAPER

SMALL = ("--window-size", "12", "--stride", "6")


def write_image(name, seed, size=(48, 40)):
    """A picture of smooth blobs, so that maps have something to find."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(name)
    return name


@pytest.fixture
def images():
    return [write_image(f"{name}.png", seed) for seed, name in enumerate("abcd")]


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1")


@pytest.fixture
def retrievals(xmir, images, network):
    """Records as `xmir query` writes them: b and c for the query a, d for the query b."""
    lines = []
    a, b, c, d = images
    for query, hits in ((a, [b, c]), (b, [d])):
        flags = [part for hit in hits for part in ("--image", hit)]
        found = xmir("saliency", "--query", query, *flags, *network, "--method", "uniform")
        for rank, record in enumerate(found.records(), start=1):
            lines.append(
                {
                    "schema": "xmir.retrieval/1",
                    "query": query,
                    "retrieved": record["retrieved"],
                    "rank": rank,
                    "similarity": record["similarity"],
                    "match": None,
                    "model": record["model"],
                    "meta": {"patient": "p7"},
                }
            )
    for made in Path("saliency").iterdir():
        made.unlink()
    return lines


def jsonl(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def test_records_come_back_with_maps_overlays_and_everything_they_had(xmir, retrievals):
    result = xmir("saliency", *SMALL, stdin=jsonl(retrievals))
    assert result.code == 0, result.stderr
    records = result.records()
    assert [record["retrieved"] for record in records] == [
        record["retrieved"] for record in retrievals
    ]
    for record, given in zip(records, retrievals, strict=True):
        kept = {key: value for key, value in record.items() if key in given and key != "schema"}
        assert kept == {key: value for key, value in given.items() if key != "schema"}
        assert record["schema"] == "xmir.saliency/1"
        assert record["method"] == "occlusion"
        assert record["settings"]["window_size"] == 12
        assert record["explains"] == "retrieved"
        assert record["similarity_check"] == pytest.approx(given["similarity"], abs=1e-6)
        assert record["evaluations"] == 49
        assert record["image_size"] == [48, 40]
        assert record["roi"] == pytest.approx([5, 0, 40, 40], abs=1.5)
        saliency = np.load(record["saliency"])
        assert saliency.shape == (32, 32)
        assert saliency.dtype == np.float32
        assert saliency.any()
        with Image.open(record["overlay"]) as picture:
            assert (picture.size, picture.mode, picture.info) == ((48, 40), "RGB", {})


def test_several_methods_and_both_sides_in_order(xmir, retrievals):
    result = xmir(
        "saliency", "--method", "activation,random", "--on", "both", stdin=jsonl(retrievals[:1])
    )
    assert [(record["method"], record["explains"]) for record in result.records()] == [
        ("activation", "retrieved"),
        ("random", "retrieved"),
        ("activation", "query"),
        ("random", "query"),
    ]
    first, _, second, _ = result.records()
    assert first["details"]["residual"] == pytest.approx(0, abs=1e-5)
    # the means of an exactly decomposed similarity agree
    means = [np.load(record["saliency"]).mean() for record in (first, second)]
    assert means[0] == pytest.approx(means[1], abs=1e-6)


def test_second_run_makes_nothing_again(xmir, retrievals):
    first = xmir("saliency", *SMALL, stdin=jsonl(retrievals))
    stamps = {path: path.stat().st_mtime_ns for path in Path("saliency").iterdir()}
    again = xmir("saliency", *SMALL, stdin=jsonl(retrievals))
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in Path("saliency").iterdir()} == stamps
    forced = xmir("saliency", *SMALL, "--force", stdin=jsonl(retrievals))
    assert forced.stdout == first.stdout
    assert all(path.stat().st_mtime_ns != stamp for path, stamp in stamps.items())


def test_damaged_map_is_made_again(xmir, retrievals):
    [first] = xmir("saliency", "--method", "edges", stdin=jsonl(retrievals[:1])).records()
    good = Path(first["saliency"]).read_bytes()
    Path(first["saliency"]).write_bytes(good[:-4] + b"\0\0\0\1")
    xmir("saliency", "--method", "edges", stdin=jsonl(retrievals[:1]))
    assert Path(first["saliency"]).read_bytes() == good


def test_lost_overlay_is_drawn_from_the_map(xmir, retrievals):
    [first] = xmir("saliency", "--method", "edges", stdin=jsonl(retrievals[:1])).records()
    drawn = Path(first["overlay"]).read_bytes()
    Path(first["overlay"]).unlink()
    stamp = Path(first["saliency"]).stat().st_mtime_ns
    xmir("saliency", "--method", "edges", stdin=jsonl(retrievals[:1]))
    assert Path(first["overlay"]).read_bytes() == drawn
    assert Path(first["saliency"]).stat().st_mtime_ns == stamp


def test_another_look_is_another_picture_of_the_same_map(xmir, retrievals):
    line = jsonl(retrievals[:1])
    [plain] = xmir("saliency", "--method", "center", stdin=line).records()
    [other] = xmir(
        "saliency", "--method", "center", "--colormap", "viridis", "--alpha", "1", stdin=line
    ).records()
    assert other["saliency"] == plain["saliency"]
    assert other["overlay"] != plain["overlay"]
    assert Path(other["overlay"]).read_bytes() != Path(plain["overlay"]).read_bytes()


def test_image_paths_mean_self_similarity(xmir, images, network):
    result = xmir("saliency", *network, "--method", "activation", stdin="\n".join(images[:2]))
    assert result.code == 0
    assert [record["query"] for record in result.records()] == images[:2]
    for record in result.records():
        assert record["retrieved"] == str(Path(record["query"]).absolute())
        assert record["similarity"] == pytest.approx(1)
        # activation maps of an image with itself sum to one over the 8 x 8 cells
        assert np.load(record["saliency"]).mean() * 64 == pytest.approx(1, abs=1e-5)


def test_both_sides_of_self_similarity_are_one(xmir, images, network):
    result = xmir(
        "saliency",
        *network,
        "--method",
        "center",
        "--on",
        "both",
        stdin=f'{{"path": "{images[0]}"}}',
    )
    assert [record["explains"] for record in result.records()] == ["retrieved"]
    assert result.records()[0]["path"] == images[0]


def test_changed_similarity_is_refused_and_the_others_go_on(xmir, retrievals):
    retrievals[1]["similarity"] -= 0.25
    result = xmir("saliency", "--method", "center", stdin=jsonl(retrievals))
    assert result.code == 3
    assert len(result.records()) == 2
    found = retrievals[1]["similarity"] + 0.25
    assert (
        f"skipped line 2: changed: similarity: expected {found - 0.25:.4f} as recorded, "
        f"found {found:.4f}; another file, preprocessing or precision than when it was made"
    ) in result.stderr
    assert "2 explained, 1 skipped (1 changed)" in result.stderr


def test_other_weights_are_a_model_error(xmir, retrievals):
    retrievals[0]["model"]["weights"] = "random:2"
    result = xmir("saliency", stdin=jsonl(retrievals[:1]))
    assert result.code == 6
    assert "random:2: not the recorded weights" in result.stderr


def test_flags_say_where_the_recorded_network_lies_now(xmir, retrievals, network):
    moved = [dict(record) for record in retrievals[:1]]
    moved[0]["model"] = {**moved[0]["model"], "architecture": "gone.py:network"}
    assert xmir("saliency", "--method", "center", stdin=jsonl(moved)).code == 6
    result = xmir("saliency", "--method", "center", *network, stdin=jsonl(moved))
    assert result.code == 0, result.stderr
    assert result.records()[0]["model"] == retrievals[0]["model"]


def test_bad_lines_are_named_by_their_number(xmir, retrievals):
    lines = [
        json.dumps(retrievals[0]),
        "{broken",
        json.dumps({"query": "a.png", "rank": 1}),
        json.dumps({**retrievals[1], "similarity": "high"}),
        json.dumps({**retrievals[1], "retrieved": "/gone.png"}),
    ]
    result = xmir("saliency", "--method", "center", stdin="\n".join(lines))
    assert result.code == 3
    assert len(result.records()) == 1
    cosine = "a number from -1 to 1"
    assert result.stderr.splitlines()[:4] == [
        "xmir: warning: skipped line 2: bad-record: not a JSON object",
        "xmir: warning: skipped line 3: bad-record: retrieved: expected a string, found nothing",
        f"xmir: warning: skipped line 4: bad-record: similarity: expected {cosine}, found a string",
        "xmir: warning: skipped line 5: missing: no such file (/gone.png)",
    ]


def test_nothing_on_standard_input_is_an_error(xmir):
    result = xmir("saliency", "--method", "center", stdin="")
    assert result.code == 5
    assert "no records on standard input" in result.stderr


def test_nothing_usable_is_an_error(xmir, network):
    result = xmir("saliency", "--method", "center", *network, stdin="gone.png\n")
    assert result.code == 5
    assert "none of 1 records could be explained" in result.stderr


def test_triplet_contrasts_with_the_negative(xmir, images, network):
    pair = ("--query", images[0], "--image", images[1], *network, "--method", "attention")
    [plain] = xmir("saliency", *pair).records()
    result = xmir("saliency", *pair, "--tuple", "triplet", "--negative", images[3])
    [contrasted] = result.records()
    assert contrasted["saliency"] != plain["saliency"]
    assert contrasted["details"]["weight_spread"] > plain["details"]["weight_spread"]
    assert len(contrasted["settings"]["negatives"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "a.png"], "--query and --image name a pair together"),
        (["--image", "a.png"], "--query and --image name a pair together"),
        (["--query", "a.png", "--image", "b.png"], "--query: which network?"),
        (["--negative", "a.png"], "--negative: a pair has no negatives"),
        (["--method", "ocluson"], "ocluson: no such saliency method"),
        (
            ["--method", "activation", "--window-size", "9"],
            "--window-size: not a setting of activation",
        ),
        (["--window-size", "nine"], "--window-size: expected a whole number, found nine"),
        (["--alpha", "2"], "--alpha"),
    ],
)
def test_misuse_is_one_line_and_exit_2(xmir, arguments, message):
    result = xmir("saliency", *arguments, stdin="a.png\n")
    assert result.code == 2
    assert message in result.stderr
    assert not result.stdout


def test_bare_path_needs_a_network(xmir):
    result = xmir("saliency", stdin="a.png\n")
    assert result.code == 2
    assert "--model: line 1 is an image path, which says nothing about the network" in result.stderr


def test_triplet_without_negative_is_refused(xmir, images, network):
    result = xmir(
        "saliency", *network, "--method", "attention", "--tuple", "triplet",
        "--query", images[0], "--image", images[1],
    )  # fmt: skip
    assert result.code == 2
    assert "--tuple triplet: expected 1 negative, found 0" in result.stderr


def test_unreadable_negative_is_named(xmir, images, network):
    result = xmir(
        "saliency", *network, "--method", "attention", "--tuple", "triplet",
        "--negative", "gone.png", "--query", images[0], "--image", images[1],
    )  # fmt: skip
    assert result.code == 5
    assert "skipped b.png: missing: no such file (negative gone.png)" in result.stderr


def test_batch_size_does_not_change_the_maps(xmir, retrievals):
    one = xmir("saliency", *SMALL, "-o", "one", "--batch", "1", stdin=jsonl(retrievals))
    many = xmir("saliency", *SMALL, "-o", "many", "--batch", "64", stdin=jsonl(retrievals))
    for first, second in zip(one.records(), many.records(), strict=True):
        np.testing.assert_allclose(
            np.load(first["saliency"]), np.load(second["saliency"]), atol=1e-6
        )


def test_paths_print_one_overlay_a_line(xmir, images, network):
    result = xmir("saliency", *network, "--method", "center", "--format", "paths", stdin=images[0])
    assert Path(result.stdout.strip()).is_file()


def test_names_cannot_leave_the_folder(xmir, network):
    Path("deep").mkdir()
    name = write_image("deep/..strange name \n.png", 1)
    result = xmir(
        "saliency", *network, "--method", "center", "-o", "out", stdin=json.dumps({"path": name})
    )
    assert result.code == 0, result.stderr
    assert len(list(Path("out").iterdir())) == 3
    assert Path(result.records()[0]["saliency"]).parent == Path("out")


def test_help_offers_every_colormap(xmir):
    text = xmir("saliency", "--help").stdout
    assert all(name in text for name in COLORMAPS)


def test_the_papers_settings_have_a_name_and_typed_ones_go_before(xmir, images, network):
    pair = ("saliency", "--query", images[0], "--image", images[1], *network)

    def settings(*flags):
        return {each["method"]: each["settings"] for each in xmir(*pair, *flags).records()}

    methods = ("--method", "occlusion,attention,activation,center")
    small = (*SMALL, "--fill", "black")
    paper = settings(*methods, "--preset", "paper", *small)
    own = settings(*methods, *small)
    assert (own["activation"]["bias"], own["activation"]["clip"]) == ("spread", "none")
    assert (paper["activation"]["bias"], paper["activation"]["clip"]) == ("drop", "pair")
    assert (own["attention"]["variant"], paper["attention"]["variant"]) == ("own", "paper")
    for found in (own["occlusion"], paper["occlusion"]):
        assert (found["window_size"], found["stride"], found["fill"]) == (12, 6, "black")
    assert paper["occlusion"]["grid"] == "paper"
    assert own["center"] == paper["center"]
    assert settings("--preset", "paper") == settings("--method", "activation", "--preset", "paper")


def test_a_preset_fits_the_methods_there_are():
    for method, given in PAPER.items():
        assert choose_methods(method, given)[method]
