"""Kills every writing command at any moment, looks at what is left, and runs it again.

    python tests/torture/kill.py --random 50        50 kills of each command, at random moments
    python tests/torture/kill.py --steps 0          one kill before each step that changes a folder
    python tests/torture/kill.py --steps 3 index    three of these, of one command
    python tests/torture/kill.py --random 50 --signal TERM      asked to end, not killed

A file under a final name must be the old one, the new one, or none; the command run again must end
well, print what an undisturbed run prints, and leave the same files and no others. Prints one JSON
object a command; exits 1 when anything was lost.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forks import MODEL, Ended, pictures, run, start, warm

Tree = Mapping[str, bytes]  # path below the output -> contents
CPU = ("--device", "cpu")
TRAIN = ("--per-class", 2, "--epochs", 2, "--classes-per-batch", 2)
_CHANGING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


@dataclass(frozen=True)
class Case:
    """A command that writes into the folder `out`, and how it is run again after a kill."""

    first: tuple[object, ...]
    again: tuple[object, ...]
    stdin: str = ""  # a file
    old: tuple[object, ...] = ()  # what had made the files that are there before
    passing: tuple[str, ...] = field(default=())  # keys of its records that differ from run to run


EMBED = ("embed", "data/labels.csv", *MODEL, "--batch", 1)
SALIENCY = ("saliency", "-", *CPU, "--method", "activation,random", "-o", "out/maps")
CAUSAL = ("causal-metric", "-", *CPU, "--curve-steps", 3, "--curves", "out/curves")
DIFF = ("diff-saliency", "data/labels.csv", *MODEL, "--method", "activation", "-o", "out/diff")
SANITY = (
    "sanity-check",
    "-",
    *CPU,
    "--method",
    "activation",
    "--seeds",
    "1",
    "--plot",
    "out/sanity.png",
)
OLD = ("embed", "data/0000.png", *MODEL)
CASES = {
    "embed": Case((*EMBED, "-o", "out/e.parquet"), (*EMBED, "--resume", "-o", "out/e.parquet")),
    "embed over an old file": Case(
        (*EMBED, "--force", "-o", "out/e.parquet"),
        (*EMBED, "--resume", "-o", "out/e.parquet"),
        old=(*OLD, "-o", "out/e.parquet"),
    ),
    "embed with feature maps": Case(
        (*EMBED, "--features", "-o", "out/e.parquet"),
        (*EMBED, "--features", "--resume", "-o", "out/e.parquet"),
    ),
    "embed to NumPy over old files": Case(
        (*EMBED, "--force", "--file-format", "npy", "-o", "out/e.npy"),
        (*EMBED, "--force", "--file-format", "npy", "-o", "out/e.npy"),
        old=(*OLD, "--file-format", "npy", "-o", "out/e.npy"),
    ),
    "index": Case(
        ("index", "e.parquet", "--kind", "hnsw", "-o", "out/i.xmir"),
        ("index", "e.parquet", "--kind", "hnsw", "-o", "out/i.xmir", "--force"),
    ),
    "index over an old one": Case(
        ("index", "e.parquet", "-o", "out/i.xmir", "--force"),
        ("index", "e.parquet", "-o", "out/i.xmir", "--force"),
        old=("index", "old.parquet", "-o", "out/i.xmir"),
    ),
    "saliency": Case(SALIENCY, SALIENCY, "retrieval.jsonl"),
    "causal-metric": Case(CAUSAL, CAUSAL, "saliency.jsonl"),
    "train": Case(
        ("train", "data/labels.csv", *MODEL, *TRAIN, "-o", "out/n.safetensors"),
        ("train", "data/labels.csv", *MODEL, *TRAIN, "-o", "out/n.safetensors", "--resume"),
        passing=("seconds", "images_per_second"),
    ),
    "montage": Case(
        ("montage", "-", "-f", "-o", "out/page.png"),
        ("montage", "-", "-f", "-o", "out/page.png"),
        "saliency.jsonl",
        ("montage", "-", "--side", 60, "-o", "out/page.png"),
    ),
    "report": Case(
        ("report", "-", "-f", "-o", "out/page.html"),
        ("report", "-", "-f", "-o", "out/page.html"),
        "saliency.jsonl",
        ("report", "-", "--side", 60, "-o", "out/page.html"),
    ),
    "diff-saliency": Case(DIFF, (*DIFF, "--force")),
    "sanity-check": Case(SANITY, (*SANITY, "--force"), "retrieval.jsonl"),
}


class Torturer:
    """A folder with everything the commands need, and their output folder `out`."""

    def __init__(self, folder: Path, number: int = signal.SIGKILL) -> None:
        self.folder, self.out, self.signal = folder, folder / "out", number
        pictures(folder / "data", 8)
        self.out.mkdir()
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        self._good((*EMBED, "-o", "e.parquet"))
        self._good((*OLD, "-o", "old.parquet"))
        self._good(("index", "e.parquet", "-o", "i.xmir"))
        asked = ("query", "-i", "i.xmir", "data/0000.png", "data/0001.png", "-k", 2, *CPU)
        (folder / "retrieval.jsonl").write_bytes(self._good(asked).out)
        maps = ("saliency", "-", *CPU, "--method", "activation", "-o", "maps")
        (folder / "saliency.jsonl").write_bytes(self._good(maps, "retrieval.jsonl").out)

    def torture(self, case: Case, steps: int, times: int) -> Counter[str]:
        """What became of the final files, counted over all kills; `lost ...` is a failure."""
        old = self._before(case)
        began = time.monotonic()
        counter = self.folder / "steps"
        whole = run(case.first, self.folder, self._stdin(case), _prepared(0, counter))
        seconds = time.monotonic() - began
        assert whole.code == 0, whole.err.decode()
        new, total = self._tree(), counter.stat().st_size
        found: Counter[str] = Counter()
        chosen = range(1, total + 1)
        if 0 < steps < total:
            chosen = sorted(
                {1 + number * (total - 1) // max(steps - 1, 1) for number in range(steps)}
            )
        for step in chosen if steps >= 0 else ():
            self._kill_once(case, old, new, whole, _prepared(step), None, found)
        for _ in range(times):
            moment = random.uniform(0.05, 1.02) * seconds  # noqa: S311
            self._kill_once(case, old, new, whole, _prepared(0), moment, found)
        return found

    def _kill_once(
        self,
        case: Case,
        old: Tree,
        new: Tree,
        whole: Ended,
        prepare: Callable[[], None],
        moment: float | None,
        found: Counter[str],
    ) -> None:
        self._before(case)
        running = start(case.first, self.folder, self._stdin(case), prepare)
        if moment is not None:
            time.sleep(moment)
            running.kill(self.signal)
        ended = running.wait()
        found["kills" if ended.code == -self.signal else "ended before"] += 1
        if ended.code not in {0, -self.signal} or _complains(ended.err):
            found[f"lost: ends with {ended.code}: {ended.err.decode()[-300:]}"] += 1
        left = self._tree()
        for name in {*old, *new} | {name for name in left if not _passing(name)}:
            found[_state(left.get(name), old.get(name), new.get(name), name)] += 1
        found["temporary files left"] += sum(map(_passing, left))
        rerun = run(case.again, self.folder, self._stdin(case), _prepared(0))
        if rerun.code != 0:
            found[f"lost: run again exits {rerun.code}: {rerun.err.decode()[-200:]}"] += 1
        elif self._tree() != new:
            differing = [
                name for name in {*new, *self._tree()} if self._tree().get(name) != new.get(name)
            ]
            found[f"lost: run again leaves other files: {sorted(differing)}"] += 1
        elif case.passing == () and rerun.out != whole.out:
            found["lost: run again prints other records"] += 1
        else:
            found["same after running again"] += 1

    def _before(self, case: Case) -> Tree:
        shutil.rmtree(self.out)
        self.out.mkdir()
        if case.old:
            self._good(case.old, case.stdin)
        return self._tree()

    def _stdin(self, case: Case) -> bytes:
        return (self.folder / case.stdin).read_bytes() if case.stdin else b""

    def _good(self, arguments: tuple[object, ...], stdin: str = "") -> Ended:
        given = (self.folder / stdin).read_bytes() if stdin else b""
        ended = run(arguments, self.folder, given)
        assert ended.code == 0, ended.err.decode()
        return ended

    def _tree(self) -> dict[str, bytes]:
        tree: dict[str, bytes] = {}
        for path in sorted(self.out.rglob("*")):
            if path.is_file():
                # an index is one thing: its folder, not the files in it
                place = path.parent if path.parent.suffix == ".xmir" else path
                name = str(place.relative_to(self.out))
                tree[name] = tree.get(name, b"") + path.name.encode() + path.read_bytes()
        return tree


def _prepared(step: int, counter: Path | None = None) -> Callable[[], None]:
    """In the child: every part at once to the disk, and SIGKILL before the given change, from 1."""

    def prepare() -> None:
        from xmir_cli.embedding import parts

        parts.PART_SECONDS = 0.0
        log = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if counter else -1
        seen = 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event not in _CHANGING and not (event == "open" and _writes(arguments)):
                return
            seen += 1
            if log >= 0:
                os.write(log, b".")
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)

    return prepare


def _complains(told: bytes) -> bool:
    """Whether anything but notes was told."""
    return any(not line.startswith(b"xmir: note: ") for line in told.splitlines())


def _writes(arguments: tuple[object, ...]) -> bool:
    path, _, flags = arguments
    return (
        isinstance(path, str | bytes | os.PathLike)
        and path != os.devnull
        and bool(int(str(flags)) & (os.O_WRONLY | os.O_RDWR))
    )


def _passing(name: str) -> bool:
    """Whether a file is one that a run keeps beside its output while it works."""
    return name.startswith(".xmir-") or "/.xmir-" in name or ".parts/" in name or ".state." in name


def _state(found: bytes | None, old: bytes | None, new: bytes | None, name: str) -> str:
    if found is None:
        return "none" if old is None else "none, the old one gone"
    if found == new:
        return "new"
    return "old" if found == old else f"lost: {name} is neither old nor new"


def main() -> None:
    """Torture the named cases, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of: {', '.join(CASES)}; default all")
    parser.add_argument("--steps", type=int, default=-1, help="kills at steps; 0: at every one")
    parser.add_argument("--random", type=int, default=0, help="kills at random moments")
    parser.add_argument("--signal", default="KILL", help="of the random kills")
    asked = parser.parse_args()
    warm()
    with tempfile.TemporaryDirectory() as folder:
        torturer = Torturer(Path(folder), signal.Signals[f"SIG{asked.signal}"])
        lost = False
        for name in asked.cases or CASES:
            began = time.monotonic()
            found = torturer.torture(CASES[name], asked.steps, asked.random)
            lost = lost or any(key.startswith("lost") for key in found)
            print(
                json.dumps({"case": name, **found, "seconds": round(time.monotonic() - began)}),
                flush=True,
            )
    sys.exit(lost)


if __name__ == "__main__":
    main()
