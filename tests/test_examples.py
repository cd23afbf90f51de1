"""The examples run as they stand: every story on a small made-up folder in its published layout."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from xmir_cli.main import COMMANDS, app, load_command

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
BASH = shutil.which("bash") or "bash"
SMALL = {
    "ARCH": f"{ROOT / 'tests' / 'networks' / 'tiny.py'}:network",
    "WEIGHTS": "random:0",
    "SEEDS": "0",
    "MODELS": "plain",
    "EPOCHS": "1",
    "PER_CLASS": "2",
    "QUERIES": "3",
    "TOP": "3",
    "WINDOW": "16",
    "STRIDE": "16",
    "STEPS": "4",
}


@dataclass(frozen=True)
class Story:
    """A finished run of a script."""

    code: int
    stdout: str
    stderr: str
    out: Path


def environment(venv: Path | str = sys.prefix, **knobs: str) -> dict[str, str]:
    """A shell's environment in which nothing is installed and no core is taken twice."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {*SMALL, "COUNT", "PAPER", "CLASSES", "CONTROLS"}
    }
    return {**kept, "XMIR_VENV": str(venv), "OMP_NUM_THREADS": "1", **knobs}


def start(
    script: str, *arguments: Path, venv: Path | str = sys.prefix, **knobs: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BASH, EXAMPLES / script, *arguments], cwd=arguments[-1].parent,
        env=environment(venv, COLUMNS="80", **knobs), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], out: Path) -> Story:
    try:
        stdout, stderr = process.communicate()
    finally:  # Ctrl-C: the script and what it has started
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    return Story(process.returncode, stdout, stderr, out)


def draw(path: Path, label: str) -> None:
    """A noisy picture, unlike every other, with a bright patch whose place is its class."""
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    pixels = rng.integers(0, 100, (40, 44), dtype=np.uint8)
    row = 12 * (len(label) % 3)
    pixels[row : row + 12, 10:30] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def outline(folder: Path, name: str, label: str) -> None:
    """The mask of the patch that `draw` has drawn."""
    mask = np.zeros((40, 44), np.uint8)
    row = 12 * (len(label) % 3)
    mask[row : row + 12, 10:30] = 255
    folder.mkdir(exist_ok=True)
    Image.fromarray(mask).save(folder / f"{name}_segmentation.png")


def make_covidx(folder: Path) -> None:
    for split, count in (("train", 3), ("test", 3)):
        lines = []
        for label in ("normal", "pneumonia", "COVID-19"):
            for number in range(count):
                name = f"{split} {label}({number}).png"
                lines.append(f"p{split}{label}{number // 2} {name} {label} rsna")
                draw(folder / split / name, label)
        lines.append("p99 nowhere.png normal")  # some lists name no source; a file may be missing
        (folder / f"{split}_split_v3.txt").write_text("\n".join(lines) + "\n")


def make_isic(folder: Path) -> None:
    marks = {"nevus": "0.0,0.0", "melanoma": "1.0,0.0", "keratosis": "0.0,1.0"}
    names = iter(range(100))
    for prefix, counts in (
        ("ISIC-2017_Training", {"nevus": 5, "melanoma": 3, "keratosis": 2}),
        ("ISIC-2017_Test_v2", {"nevus": 6, "melanoma": 4, "keratosis": 2}),
    ):
        rows = ["image_id,melanoma,seborrheic_keratosis"]
        for label, count in counts.items():
            for _ in range(count):
                name = f"ISIC_{next(names):07}"
                rows.append(f"{name},{marks[label]}")
                draw(folder / f"{prefix}_Data" / f"{name}.jpg", label)
                if prefix.endswith("v2"):
                    outline(folder / f"{prefix}_Part1_GroundTruth", name, label)
        (folder / f"{prefix}_Part3_GroundTruth.csv").write_text("\n".join(rows) + "\n")


def make_own(folder: Path) -> None:
    rows = ["path,label,patient,split"]
    for split in ("train", "test"):
        for label in ("flu", "clear"):
            for number in range(3):
                name = f"{label}-{split}-{number}.png"
                draw(folder / name, label)
                rows.append(f"{name},{label},{name},{split}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def stories(tmp_path_factory, warm: Path) -> dict[str, Story]:
    """Every story, run side by side."""
    folder = tmp_path_factory.mktemp("with spaces")
    for name, make in (("covidx", make_covidx), ("isic2017", make_isic), ("covid-cxr", make_own)):
        make(folder / name)

    def run(name: str, **knobs: str) -> subprocess.Popen[str]:
        folders = folder / name, folder / f"{name}-out"
        return start(f"{name}/run.sh", *folders, venv=warm, **SMALL | knobs)

    small = {"COUNT": "60", "EPOCHS": "1", "QUERIES": "1"}
    runs = {
        "covidx": run("covidx"),
        "isic2017": run("isic2017"),
        "covid-cxr": run("covid-cxr", MODELS="untrained rr-head"),
        "quickstart": start("quickstart.sh", folder / "quickstart-out", venv=warm, **small),
    }
    return {name: finish(process, folder / f"{name}-out") for name, process in runs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["covidx", "isic2017", "covid-cxr", "quickstart"])
def test_every_story_ends_well_and_installs_nothing(stories, name):
    story = stories[name]
    assert story.code == 0, f"{story.stdout}\n{story.stderr}"
    assert "installing" not in story.stderr
    assert "Traceback" not in story.stderr


@pytest.mark.slow
def test_covidx_prints_both_tables_beside_the_papers(stories):
    text = stories["covidx"].stdout
    assert text == (stories["covidx"].out / "tables.txt").read_text()
    assert re.search(
        r"tiny.py:network +[\d.]+ +[\d.]+ \(87.6\) +[\d.]+ \(90.0\) +[\d.]+ \(89.9\)", text
    )
    assert re.search(r"Occlusion +[\d.]+ \(83.2\) +[\d.]+ \(64.8\)", text)
    assert re.search(r"Activation mapping \(random\) +[\d.]+ \(79.1\) +[\d.]+ \(74.5\)", text)
    assert re.search(r"control: random pixels +[\d.]+ +[\d.]+\n", text)


@pytest.mark.slow
def test_isic_prints_both_tables_beside_the_papers(stories):
    text = stories["isic2017"].stdout
    assert re.search(r"tiny.py:network +[\d.]+ +[\d.]+ \(57.5\) .* -  +-\n", text)
    assert re.search(r"Attention \(random\) +[\d.]+ \(72.1\) +[\d.]+ \(61.4\)", text)
    assert "9 images retrieved by 3 queries" in text
    assert re.search(r"insertion +deletion +hit +energy +auroc\n", text)
    assert re.search(r"Attention +[\d.]+ \(75.1\) +[\d.]+ \(56.8\)( +[\d.]+){3}\n", text)
    assert re.search(r"control: centre first +[\d.]+ +[\d.]+( +[\d.]+){3}\n", text)
    assert re.search(r"control: random pixels +[\d.]+ +[\d.]+\n", text)
    assert "by chance 15.6;" in text  # 10 x 16 of 32 x 32 pixels of the view


@pytest.mark.slow
def test_the_stories_draw_their_figures(stories):
    for name, figure in (("covidx", "figure4"), ("isic2017", "figure5")):
        out = stories[name].out
        pages = list(out.glob(f"{figure}-*.png"))
        assert pages, name
        for picture in [*pages, out / "figure6" / "figure.png"]:
            with Image.open(picture) as opened:
                assert min(opened.size) > 100, picture


@pytest.mark.slow
def test_the_rows_of_table_1_are_what_models_asks_for(stories):
    story = stories["covid-cxr"]
    assert re.search(r"  tiny.py:network as it comes +[\d.]+ +[\d.]+ +[\d.]+ ", story.stdout)
    assert re.search(r"  tiny.py:network\+RR\+256-d +[\d.]+ +[\d.]+ \(86.2\)", story.stdout)
    assert "Table 2" not in story.stdout  # that is the plain model's
    (record,) = read(story.out / "rr-head-0" / "retrieval.jsonl")
    assert record["model"]["head"] == 256


@pytest.mark.slow
def test_a_listed_image_that_is_missing_is_named_and_the_story_goes_on(stories):
    assert "nowhere.png" in stories["covidx"].stderr
    (record,) = read(stories["covidx"].out / "plain-0" / "retrieval.jsonl")
    assert record["queries"] == 9


@pytest.mark.slow
def test_the_random_rows_are_maps_of_another_network_on_the_same_images(stories):
    records = read(stories["isic2017"].out / "plain-0" / "causal.jsonl")
    assert {record["method"] for record in records} == {"occlusion", "attention", "activation"}
    for record in records:
        assert record["insertion_control"].keys() == {"random-model", "random", "center"}
        assert record["model"]["weights"].endswith("plain-0/model.safetensors")


@pytest.mark.slow
def test_a_second_run_does_nothing_anew(stories):
    story = stories["isic2017"]
    before = stamps(story.out)
    again = repeat(story.out, **SMALL)
    assert (again.code, again.stdout, again.stderr) == (0, story.stdout, "")
    assert stamps(story.out) == before


@pytest.mark.slow
def test_an_interrupted_run_continues_where_it_was(stories, tmp_path):
    story = stories["isic2017"]
    kept = tmp_path / "isic2017-out"
    shutil.copytree(story.out, kept)
    (tmp_path / "isic2017").symlink_to(story.out.parent / "isic2017")
    run = kept / "plain-0"
    (run / "retrieval.jsonl").rename(run / "retrieval.jsonl.part")  # never reached its name
    (run / "causal.jsonl").unlink()  # its parts are there
    (kept / "knobs.txt").unlink()  # names the other folder
    again = repeat(kept, **SMALL)
    assert (again.code, again.stdout) == (0, story.stdout), again.stderr
    steps = [line[2:] for line in again.stderr.splitlines() if line.startswith("$ ")]
    assert [" ".join(step.split()[:2]) for step in steps] == [
        "xmir retrieval-metric",
        f"cat {tmp_path}/isic2017-out/plain-0/parts/causal-aaaa.jsonl",
    ]
    assert not (run / "retrieval.jsonl.part").exists()


@pytest.mark.slow
def test_other_knobs_need_another_folder(stories):
    again = repeat(stories["isic2017"].out, **SMALL | {"EPOCHS": "2"})
    assert (again.code, again.stdout) == (2, "")
    assert "made with other knobs" in again.stderr
    assert "EPOCHS=2" in again.stderr


def repeat(out: Path, **knobs: str) -> Story:
    return finish(start("isic2017/run.sh", out.parent / "isic2017", out, **knobs), out)


@pytest.mark.slow
def test_the_quickstart_prints_its_summary_and_leaves_pictures(stories):
    story = stories["quickstart"]
    assert re.search(r"^neighbours +other patients ", story.stdout, re.MULTILINE)
    assert re.search(r"^map +0\.\d+ ", story.stdout, re.MULTILINE)
    # by insertion and deletion, and by the true opacities; too wide for 80 columns, so they stand
    heads = " ".join(re.findall(r"^method +(.*)", story.stdout, re.MULTILINE))
    for name in (
        "activation",
        "attention",
        "random",
        "occlusion, fill black",
        "occlusion, fill gray",
    ):
        assert heads.count(name) == 2
    for number in ("insertion", "deletion", "hit", "energy", "auroc"):
        assert re.search(rf"^{number} +[\d.]+ +[\d.]+ ", story.stdout, re.MULTILINE), number
    assert (story.out / "diff" / "figure.png").is_file()
    assert list((story.out / "maps").glob("*.png"))
    assert "xmir.causal/1" in (story.out / "report.html").read_text(encoding="utf-8")


def test_an_example_without_folders_says_how_it_is_called():
    for script in ("covidx/run.sh", "isic2017/run.sh", "covid-cxr/run.sh", "paper.sh"):
        done = subprocess.run(
            [BASH, EXAMPLES / script], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: ")


def test_covidx_lists_become_a_table(tmp_path):
    make_covidx(tmp_path)
    rows = table("covidx/labels.py", tmp_path)
    assert len(rows) == 20
    assert rows[0] == {
        "path": str(tmp_path / "train" / "train normal(0).png"),
        "id": "train/train normal(0).png",
        "label": "normal",
        "patient": "ptrainnormal0",
        "split": "train",
    }
    assert Path(rows[0]["path"]).is_file()
    assert (rows[-1]["id"], rows[-1]["label"]) == ("test/nowhere.png", "normal")


def test_covidx_with_two_lists_of_a_split_is_a_question(tmp_path):
    make_covidx(tmp_path)
    (tmp_path / "train_COVIDx5.txt").write_text("1 a.png normal cohen\n")
    done = python("covidx/labels.py", tmp_path)
    assert done.returncode == 1
    assert "found train_split_v3.txt, train_COVIDx5.txt" in done.stderr


def test_covidx_line_that_is_none_is_named(tmp_path):
    make_covidx(tmp_path)
    (tmp_path / "test_split_v3.txt").write_text("1 a.png normal cohen\n2 b.png flu cohen\n")
    done = python("covidx/labels.py", tmp_path)
    assert done.returncode == 1
    assert "test_split_v3.txt: line 2: expected patient, file, label" in done.stderr


@pytest.mark.slow
def test_audit_plants_faults_in_a_copy_and_counts_what_is_found_of_them(tmp_path):
    data, out = tmp_path / "the data", tmp_path / "the out"  # paths may have spaces
    assert python("phantoms.py", data, "--count", 90, "--size", 48).returncode == 0
    how = ("--arch", SMALL["ARCH"], "--weights", "random:0")
    told = python("audit.py", data / "labels.csv", out, "--audit", "--neighbors 5", "--", *how)
    assert told.returncode == 0, told.stderr
    lines = {line["kind"]: line for line in map(json.loads, told.stdout.splitlines())}
    assert lines["equal file"]["found"] == lines["equal file"]["planted"] == 12
    assert lines["duplicates"]["planted"] == 48
    assert lines["patients in two splits"]["planted"] == 8
    refused = python("audit.py", data / "labels.csv", tmp_path / "b", "--", "--arch", "nowhere")
    assert (refused.returncode, "Traceback" in refused.stderr) == (6, False)


def test_isic_test_images_are_a_balanced_draw_that_the_seed_decides(tmp_path):
    make_isic(tmp_path)
    rows = table("isic2017/labels.py", tmp_path, "0")
    assert Counter((row["split"], row["label"]) for row in rows) == {
        ("train", "nevus"): 5, ("train", "melanoma"): 3, ("train", "keratosis"): 2,
        ("test", "nevus"): 2, ("test", "melanoma"): 2, ("test", "keratosis"): 2,
    }  # fmt: skip
    assert all(Path(row["path"]).is_file() for row in rows)
    assert rows == table("isic2017/labels.py", tmp_path, "0")
    draws = {str(table("isic2017/labels.py", tmp_path, str(seed))) for seed in range(4)}
    assert len(draws) > 1


def test_queries_are_shared_evenly_among_the_labels_whole_and_in_order(tmp_path):
    hits = [
        {"query": f"{label}{number}", "query_label": label, "rank": rank}
        for label, count in (("a", 10), ("b", 2), ("c", 9))
        for number in range(count)
        for rank in (1, 2)
    ]
    file = tmp_path / "hits.jsonl"
    file.write_text("".join(f"{json.dumps(hit)}\n" for hit in hits))
    kept = [json.loads(line) for line in python("paper_queries.py", "9", file).stdout.splitlines()]
    assert kept == [hit for hit in hits if hit in kept]
    assert Counter(hit["query_label"] for hit in kept) == {"a": 8, "b": 4, "c": 6}
    assert python("paper_queries.py", "all", file).stdout == file.read_text()


def test_cases_are_one_query_a_label_right_or_wrong(tmp_path):
    def case(query: str, label: str, matches: tuple[bool, ...], similarity: float) -> list[dict]:
        return [
            {"query": query, "query_label": label, "rank": rank, "match": match,
             "similarity": similarity, "method": method}
            for rank, match in enumerate(matches, start=1)
            for method in ("occlusion", "activation")
        ]  # fmt: skip

    records = [
        *case("a1", "a", (True, True, True, False), 0.5),
        *case("a2", "a", (True, True, True, True), 0.9),
        *case("a3", "a", (True, False, True, True), 0.9),
        *case("a4", "a", (False, False, False, True), 0.1),
        *case("b1", "b", (True, True, True, True), 0.4),
    ]
    file = tmp_path / "maps.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert cases("right", file) == [
        ("a2", 1),
        ("a2", 2),
        ("a2", 3),
        ("b1", 1),
        ("b1", 2),
        ("b1", 3),
    ]
    assert cases("wrong", file) == [("a4", 1), ("a4", 2), ("a4", 3)]


def cases(kind: str, file: Path) -> list[tuple[str, int]]:
    lines = python("paper_cases.py", kind, "activation", file).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["method"] for record in records} == {"activation"}
    return [(record["query"], record["rank"]) for record in records]


PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted(EXAMPLES.rglob("*.md")),
    *sorted((ROOT / "xmir_cli").rglob("*.md")),
]
SHELL_TEXTS = [*PAGES, *sorted(EXAMPLES.rglob("*.sh"))]
BENCHMARK_FLAGS = {
    "--rounds",
    "--quick",
    "--chart",
    "--fine",
    "--large",
    "--graphs",
    "--crossing",
    "--wide",
    "--processor",
    "--commands",
    "--vit",
}


@pytest.mark.parametrize("file", SHELL_TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_commands_shown_and_run_use_flags_that_exist(file):
    for words in xmir_calls(shell_of(file)):
        command, known = words[0], flags_of(words[0])
        unknown = [flag for flag in map(flag_name, words) if flag and flag not in known]
        assert not unknown, f"xmir {command}: {' '.join(words)}"


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_flag_that_a_page_names_is_one_of_some_command(file):
    known = set.union(*map(flags_of, ["--help", *COMMANDS]))
    named = [flag_name(code.split()[0]) for code in inline(file.read_text(encoding="utf-8"))]
    assert {flag for flag in named if flag.startswith("--")} <= known | BENCHMARK_FLAGS


def test_the_readme_and_the_examples_show_every_command_of_the_pipeline():
    code = "\n".join(map(shell_of, SHELL_TEXTS))
    assert set(COMMANDS) <= {words[0] for words in xmir_calls(code)}


def shell_of(file: Path) -> str:
    """A script, or of a page what it shows: fenced code and code in a line."""
    text = file.read_text(encoding="utf-8")
    return "\n".join([*fences(text), *inline(text)]) if file.suffix == ".md" else text


def fences(text: str) -> Iterator[str]:
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language in {"sh", "console"}:
            yield code


def inline(text: str) -> list[str]:
    """The code in the lines of a page, such as `xmir query --top 3`."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]*[^`\s][^`]*)`", prose)]


def xmir_calls(code: str) -> Iterator[list[str]]:
    """The words after `xmir` of every call in shell code."""
    for line in code.replace("\\\n", " ").splitlines():
        if "xmir " not in line or line.lstrip().startswith("#"):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] | None = None
        for part in [*lexer, ";"]:
            if set(part) <= set("|;&()"):
                if words:
                    yield words
                words = None
            elif words is not None:
                words.append(part)
            elif part == "xmir":
                words = []


def flags_of(command: str) -> set[str]:
    if command.startswith("-"):
        params = get_command(app).params
    else:
        assert command in COMMANDS, f"xmir {command}"
        params = load_command(command).params
    flags = {flag for param in params for flag in (*param.opts, *param.secondary_opts)}
    return flags | {"--help", "-h"}


def flag_name(word: str) -> str:
    """The flag that a word of a command line is, or nothing."""
    return word.partition("=")[0] if re.match(r"--?[a-z0]", word) else ""


def table(script: str, *arguments: object) -> list[dict[str, str]]:
    return list(csv.DictReader(python(script, *arguments).stdout.splitlines()))


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def stamps(folder: Path) -> dict[Path, int]:
    """When each file was written, but for the three that every run writes."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"tables.txt", "knobs.txt", "labels.csv"}
    }
