from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_images(label, seeds):
    names = []
    for seed in seeds:
        coarse = np.random.default_rng(seed).integers(0, 255, (4, 4), dtype=np.uint8)
        if label == "left":
            coarse[:, 2:] = 0
        if label == "right":
            coarse[:, :2] = 0
        names.append(f"{label}-{seed}.png")
        Image.fromarray(coarse).resize((36, 32), Image.Resampling.BICUBIC).save(names[-1])
    return [(name, label) for name in names]


def write_manifest(rows, name="labels.csv"):
    Path(name).write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in rows))
    return name


@pytest.fixture
def rows():
    return (
        write_images("left", [1, 2, 3]) + write_images("right", [4, 5]) + write_images("all", [6])
    )


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1")


@pytest.fixture
def diff(xmir, network):
    def run(manifest, *arguments):
        return xmir("diff-saliency", manifest, *network, *arguments)

    return run


def array(record, key="saliency"):
    return np.load(record[key])


def test_every_pair_of_classes_gets_its_signed_difference(diff, rows):
    result = diff(write_manifest(rows), "--classes", "left,right,all", "-o", "out")
    assert result.code == 0, result.stderr
    records = result.records()
    pairs = [(record["class_a"], record["class_b"]) for record in records]
    assert pairs == [("left", "right"), ("left", "all"), ("right", "all")]
    assert [(record["n_a"], record["n_b"]) for record in records] == [(3, 2), (3, 1), (2, 1)]
    for record in records:
        assert record["schema"] == "xmir.difference/1"
        assert record["settings"]["normalize"] == "l1"
        assert record["settings"]["bias"] == "spread"
        assert array(record).shape == (32, 32)
        assert array(record).dtype == np.float32
        assert array(record).mean() == pytest.approx(0, abs=1e-6)
        assert (array(record, "standard_error") >= 0).all()
        with Image.open(record["overlay"]) as picture:
            assert picture.mode == "RGB"
    first, second, third = map(array, records)
    np.testing.assert_allclose(first + third, second, atol=1e-6)


def test_difference_is_that_of_the_mean_maps(diff, rows):
    [record] = diff(write_manifest(rows), "--classes", "left,right", "-o", "out").records()
    expected = np.load("out/mean-left.npy") - np.load("out/mean-right.npy")
    np.testing.assert_allclose(array(record), expected, atol=1e-6)


def test_figure_and_average_images_are_drawn(diff, rows):
    [record] = diff(write_manifest(rows), "--classes", "left,right", "-o", "out").records()
    for name in (record["figure"], "out/average-left.png", "out/mean-right.png"):
        with Image.open(name) as picture:
            picture.load()
    average = np.asarray(Image.open("out/average-left.png")).astype(int)
    assert average[:, :10].mean() > average[:, -10:].mean() + 20


def test_the_table_names_the_figure(diff, rows):
    table = diff(write_manifest(rows), "-o", "out", "--format", "table").stdout.splitlines()
    assert table[0].split() == ["class_a", "class_b", "n_a", "n_b", "overlay"]
    assert table[-1] == "figure: out/figure.png"
    assert Path("out/figure.png").exists()


def test_swapped_classes_swap_the_sign(diff, rows):
    manifest = write_manifest(rows)
    [there] = diff(manifest, "--classes", "left,right", "-o", "one").records()
    [back] = diff(manifest, "--classes", "right,left", "-o", "two").records()
    np.testing.assert_allclose(array(back), -array(there), atol=1e-6)


def test_order_and_batches_do_not_matter(diff, rows):
    [one] = diff(write_manifest(rows), "--classes", "left,right", "-o", "one").records()
    turned = write_manifest(rows[::-1], "turned.csv")
    [two] = diff(turned, "--classes", "left,right", "-o", "two", "--batch", "2").records()
    np.testing.assert_allclose(array(one), array(two), atol=1e-6)


def test_duplicates_of_every_image_change_nothing(diff, rows):
    [one] = diff(write_manifest(rows), "--classes", "left,right", "-o", "one").records()
    doubled = write_manifest(rows * 2, "doubled.csv")
    [two] = diff(doubled, "--classes", "left,right", "-o", "two").records()
    assert (two["n_a"], two["n_b"]) == (6, 4)
    np.testing.assert_allclose(array(one), array(two), atol=1e-6)


def test_bare_maps_are_always_beside(diff, rows):
    manifest = write_manifest(rows)
    [scaled] = diff(manifest, "--classes", "left,right", "-o", "one").records()
    [bare] = diff(manifest, "--classes", "left,right", "-o", "two", "--normalize", "none").records()
    np.testing.assert_array_equal(array(scaled, "saliency_none"), array(bare))
    np.testing.assert_array_equal(array(bare, "saliency_none"), array(bare))
    # maps of exactly decomposed self-similarity already sum to one: both agree
    np.testing.assert_allclose(array(scaled) / 64, array(bare), atol=1e-5)


def test_all_labels_are_the_default(diff, rows):
    records = diff(write_manifest(rows), "-o", "out", "--method", "center").records()
    assert {(record["class_a"], record["class_b"]) for record in records} == {
        ("all", "left"), ("all", "right"), ("left", "right"),
    }  # fmt: skip
    assert not any(array(record).any() for record in records)  # the control sees no class


def test_an_image_of_several_labels_is_of_each_of_them(diff, rows):
    named = [(path, "right|left" if path == "all-6.png" else label) for path, label in rows]
    [record] = diff(write_manifest(named), "-o", "out").records()
    assert (record["class_a"], record["class_b"]) == ("left", "right")
    assert (record["n_a"], record["n_b"]) == (4, 3)
    twice = [*rows[:-1], ("all-6.png", "left"), ("all-6.png", "right")]
    [other] = diff(write_manifest(twice, "twice.csv"), "-o", "out2").records()
    np.testing.assert_allclose(array(record), array(other), atol=1e-6)


def test_occlusion_takes_its_settings(diff, rows):
    result = diff(
        write_manifest(rows), "--classes", "left,right", "--method", "occlusion",
        "--window-size", "16", "--stride", "8", "-o", "out",
    )  # fmt: skip
    assert result.records()[0]["settings"]["window_size"] == 16


def test_existing_figure_is_kept_without_force(diff, rows):
    manifest = write_manifest(rows)
    assert diff(manifest, "-o", "out", "--method", "center").code == 0
    result = diff(manifest, "-o", "out", "--method", "center")
    assert result.code == 7
    assert "out/figure.png: exists already" in result.stderr
    assert diff(manifest, "-o", "out", "--method", "center", "--force").code == 0


def test_unreadable_images_are_left_out(diff, rows):
    manifest = write_manifest([*rows, ("gone.png", "left")])
    result = diff(manifest, "--classes", "left,right", "-o", "out")
    assert result.code == 3
    assert result.records()[0]["n_a"] == 3
    assert "5 averaged, 1 skipped (1 missing)" in result.stderr


def test_class_without_a_readable_image_is_an_error(diff, rows):
    manifest = write_manifest([*rows, ("gone.png", "empty")])
    result = diff(manifest, "--classes", "left,empty", "-o", "out")
    assert result.code == 5
    assert "class empty: none of its images could be read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--classes", "left,rihgt"],
            2,
            "no image has the label rihgt; there are all, left, right",
        ),
        (["--classes", "left"], 2, "--classes: expected two or more, found left"),
        (["--method", "center,edges"], 2, "--method: expected one method, found center,edges"),
        (["--window-size", "3"], 2, "--window-size: not a setting of activation"),
    ],
)
def test_misuse_is_one_line(diff, rows, arguments, code, message):
    result = diff(write_manifest(rows), *arguments)
    assert result.code == code
    assert message in result.stderr


def test_images_without_labels_are_an_error(xmir, rows, network):
    result = xmir("diff-saliency", rows[0][0], *network)
    assert result.code == 5
    assert "no image has a label" in result.stderr


def test_a_difference_beyond_chance_is_tested_and_outlined(diff):
    rows = write_images("left", range(8)) + write_images("right", range(8, 16))
    result = diff(write_manifest(rows), "--permutations", 199, "-o", "out")
    assert result.code == 0, result.stderr
    assert "no patient is known: the permutations take images for independent" in result.stderr
    (record,) = result.records()
    chance = array(record, "p_values")
    assert chance.shape == (32, 32)
    assert record["p_min"] == pytest.approx(chance.min())
    assert record["p_min"] < 0.05
    assert record["significant_share"] == pytest.approx((chance < 0.05).mean())
    plain = diff("labels.csv", "-o", "plain").records()[0]
    assert "p_min" not in plain
    assert np.array_equal(array(plain), array(record))
    with Image.open(plain["overlay"]) as first, Image.open(record["overlay"]) as second:
        assert first.tobytes() != second.tobytes()


def test_a_test_needs_two_images_of_every_class(diff, rows):
    result = diff(write_manifest(rows), "--permutations", 9, "-o", "out")
    assert result.code == 5
    assert "two images or more of every class" in result.stderr


def test_a_test_needs_two_patients_of_every_class_where_they_are_known(diff, rows):
    text = "path,label,patient\n"
    text += "".join(
        f"{path},{label},{label[0]}{place % 2}\n" for place, (path, label) in enumerate(rows[:4])
    )
    Path("patients.csv").write_text(text + f"{rows[4][0]},right,r1\n")
    (record,) = diff("patients.csv", "-o", "out").records()
    assert (record["n_a"], record["n_b"]) == (3, 2)
    assert (record["patients_a"], record["patients_b"]) == (2, 1)
    result = diff("patients.csv", "--permutations", 9, "-o", "tested")
    assert result.code == 5
    assert "two patients or more of every class" in result.stderr


def test_a_picture_that_would_be_drawn_over_an_image_is_refused(diff, rows):
    Path("d").mkdir()
    name = rows[0][0]
    Path("d/average-left.png").hardlink_to(name)
    before = Path(name).read_bytes()
    result = diff(write_manifest(rows), "-o", "d", "--force")
    assert (result.code, "is an input, too" in result.stderr) == (2, True)
    assert Path(name).read_bytes() == before


def test_centred_maps_average_what_is_left_without_the_mean_of_the_index(
    xmir, diff, rows, network, tiny_arch
):
    files = [path for path, _ in rows]
    assert xmir("embed", *files, *network, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    manifest = write_manifest(rows)
    wanted = ("--classes", "left,right", "--normalize", "none")
    result = diff(manifest, *wanted, "--center", "--index", "e.xmir", "-o", "out")
    assert (result.code, result.stderr) == (0, "")
    [record] = result.records()
    lines = "".join(f'{{"path": "{path}"}}\n' for path in files)
    maps = [
        np.load(each["saliency"]).astype(np.float64)
        for each in xmir(
            "saliency", "--method", "activation", "--center", "-i", "e.xmir", *network, stdin=lines
        ).records()
    ]
    expected = np.mean(maps[:3], axis=0) - np.mean(maps[3:5], axis=0)
    np.testing.assert_allclose(array(record), expected, atol=1e-5)
    [plain] = diff(manifest, *wanted, "-o", "plain").records()
    assert np.abs(array(record) - array(plain)).max() > 1e-2
    assert len(record["settings"]["center"]) == 64
    assert record["index"] == str(Path("e.xmir").absolute())
    assert "center" not in plain["settings"]
    alone = diff(manifest, *wanted, "--center", "-o", "alone")
    assert (alone.code, alone.stdout) == (2, "")
    assert alone.stderr.splitlines()[0] == "xmir: error: --center: the mean of which embeddings?"
    assert diff(manifest, *wanted, "-i", "e.xmir", "-o", "alone").code == 2
    other = ("diff-saliency", manifest, "--arch", tiny_arch, "--weights", "random:2", *wanted)
    result = xmir(*other, "--center", "-i", "e.xmir", "-o", "other")
    assert (result.code, result.stderr) == (
        2,
        "xmir: error: --index e.xmir: another network made its embeddings\n",
    )
    assert not Path("other").exists()
    rise = diff(manifest, *wanted, "--method", "rise", "--center", "-i", "e.xmir", "-o", "rise")
    assert (rise.code, rise.stdout) == (2, "")


def test_an_image_that_is_the_mean_adds_an_empty_map(xmir, diff, rows, network):
    assert xmir("embed", rows[0][0], *network, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    result = diff(write_manifest([rows[0], rows[3]]), "--center", "-i", "e.xmir", "-o", "out")
    assert (result.code, result.stderr) == (0, "")
    assert not np.load("out/mean-left.npy").any()
