"""Terminals at the other end of a pseudo-terminal, and what they show, as pixels."""

import base64
import io
import os
import pty
import re
import select
import shlex
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

LIMIT = 40  # seconds until a test gives up
QUESTIONS = {
    "kitty": rb"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    "name": rb"\x1b\[>q",
    "cell": rb"\x1b\[16t",
    "area": rb"\x1b\[14t",
    "points": rb"\x1b\]1337;ReportCellSize\x07",
    "colors": rb"\x1b\[\?1;1;0S",
    "largest": rb"\x1b\[\?2;1;0S",
    "last": rb"\x1b\[c",
}
XTERM = {
    "name": b"\x1bP>|XTerm(379)\x1b\\",
    "cell": b"\x1b[6;20;10t",
    "area": b"\x1b[4;480;800t",
    "colors": b"\x1b[?1;0;256S",
    "largest": b"\x1b[?2;0;1000;1000S",
    "last": b"\x1b[?64;1;2;4;6;9;15;22;28c",
}
KITTY = {
    "kitty": b"\x1b_Gi=31;OK\x1b\\",
    "name": b"\x1bP>|kitty(0.35.2)\x1b\\",
    "cell": b"\x1b[6;20;10t",
    "area": b"\x1b[4;480;800t",
    "last": b"\x1b[?62;c",
}
ITERM2 = {
    "name": b"\x1bP>|iTerm2 3.5.0\x1b\\",
    "points": b"\x1b]1337;ReportCellSize=10.0;5.0;2.0\x1b\\",
    "last": b"\x1b[?64;1;2;4;6;17;18;21;22c",
}
PLAIN = {"last": b"\x1b[?1;2c"}
SILENT: Mapping[str, bytes] = {}


@dataclass
class Terminal:
    """A program on a terminal that answers as `answers` say."""

    command: Sequence[str]
    answers: Mapping[str, bytes]
    environment: Mapping[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (24, 80)
    answers_after: float = 0.0  # seconds

    def __post_init__(self) -> None:
        self.seen, self._asked = b"", 0
        self.process, self.end = pty.fork()
        if not self.process:
            kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
            given = {"TERM": "xterm-256color", **self.environment}
            termios.tcsetwinsize(1, self.size)
            os.execvpe(self.command[0], self.command, {**kept, **given})  # noqa: S606

    def press(self, keys: bytes) -> None:
        os.write(self.end, keys)

    def wait_for(self, words: bytes) -> None:
        """Look until these words are there."""
        end = time.monotonic() + LIMIT
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            assert self.look(), self.seen

    def leave(self) -> int:
        """The exit code, once all is shown."""
        while self.look():
            pass
        os.close(self.end)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    @property
    def shown(self) -> bytes:
        """What is shown, without the questions."""
        rest = self.seen
        for question in QUESTIONS.values():
            rest = re.sub(question, b"", rest)
        return rest

    @property
    def text(self) -> str:
        """The text of what is shown, without pictures and colours."""
        pictures = rb"\x1b_G[^\x1b]*\x1b\\|\x1b\]1337;File[^\x07]*\x07|\x1bP0;1;0q[^\x1b]*\x1b\\"
        plain = re.sub(pictures + rb"|\x1b\[[\d;]*[mAB]|\x1b[78]|\r", b"", self.shown)
        lines = plain.decode().split("\n")  # a line that was cleared is what came later
        return re.sub("[▀▄]", " ", "\n".join(line.rpartition("\x1b[K")[2] for line in lines))

    def look(self) -> bool:
        """Look once, and answer; whether there may be more."""
        ready, _, _ = select.select([self.end], [], [], LIMIT)
        assert ready, self.seen
        try:
            part = os.read(self.end, 1 << 16)
        except OSError:  # all have closed it
            return False
        self.seen += part
        for name, question in sorted(QUESTIONS.items()):
            for _ in re.findall(question, part):
                if name in self.answers and name != "last":
                    time.sleep(self.answers_after)
                    self.press(self.answers[name])
        if re.search(QUESTIONS["last"], part) and "last" in self.answers:
            self.press(self.answers["last"])
        return bool(part)


_UNSET = {"COLUMNS", "LINES", "COLORTERM", "NO_COLOR", "TMUX", "STY", "TERM_PROGRAM"}


def run(script: str, answers: Mapping[str, bytes], **more: object) -> Terminal:
    """A shell script on a terminal, to its end; `xmir` in it is the program."""
    launcher = f'xmir() {{ {shlex.quote(sys.executable)} -m xmir_cli "$@"; }}; '
    terminal = Terminal(["bash", "-c", launcher + script], answers, **more)
    terminal.code = terminal.leave()
    return terminal


def decode_kitty(shown: bytes) -> list[tuple[Image.Image, int, int]]:
    """The pictures, and on how many columns and rows each stands."""
    found, data = [], b""
    keys: dict[str, str] = {}
    for head, part in re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown):
        new = dict(each.split("=") for each in head.decode().split(","))
        keys = keys or new
        data += part
        assert len(part) <= 4096
        if new["m"] == "0":
            picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
            found.append((picture.convert("RGBA"), int(keys["c"]), int(keys["r"])))
            data, keys = b"", {}
    assert not data
    return found


def decode_iterm2(shown: bytes) -> list[tuple[Image.Image, int, int]]:
    """The same of iTerm2."""
    found = []
    for head, part in re.findall(rb"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", shown):
        keys = dict(each.split("=") for each in head.decode().split(";"))
        data = base64.b64decode(part, validate=True)
        assert (len(data), keys["inline"]) == (int(keys["size"]), "1")
        picture = Image.open(io.BytesIO(data)).convert("RGBA")
        found.append((picture, int(keys["width"]), int(keys["height"])))
    return found


def decode_sixels(shown: bytes) -> list[Image.Image]:
    """The pictures, pixel by pixel."""
    return [_decode_sixel(each) for each in re.findall(rb"\x1bP[\d;]*q([^\x1b]*)\x1b\\", shown)]


def _decode_sixel(data: bytes) -> Image.Image:
    head = re.match(rb'"1;1;(\d+);(\d+)', data)
    width, height = int(head[1]), int(head[2])
    canvas = np.zeros((-(-height // 6) * 6, width, 4), dtype=np.uint8)
    registers: dict[int, tuple[int, ...]] = {}
    x = y = now = 0
    token = rb"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)"
    place = head.end()
    while place < len(data):
        found = re.compile(token).match(data, place)
        assert found, data[place : place + 20]
        place = found.end()
        if found[1]:
            registers[int(found[1])] = tuple(
                round(int(found[part]) * 255 / 100) for part in (2, 3, 4)
            )
        elif found[5]:
            now = int(found[5])
        elif found[9]:
            x = 0
        elif found[10]:
            x, y = 0, y + 6
        else:
            count, bits = int(found[6] or 1), (found[7] or found[8])[0] - 63
            for row in range(6):
                if bits >> row & 1:
                    canvas[y + row, x : x + count] = (*registers[now], 255)
            x += count
            assert x <= width
    return Image.fromarray(canvas[:height])


def decode_blocks(shown: bytes) -> Image.Image:
    """All lines of half blocks as one picture, two pixels a cell."""
    rows = []
    for line in shown.decode().replace("\r", "").split("\n"):
        if "▀" in line or "▄" in line:
            rows += _decode_line(line.rpartition("\x1b[K")[2])
    width = max(map(len, rows))
    canvas = np.zeros((len(rows), width, 4), dtype=np.uint8)
    for number, row in enumerate(rows):
        canvas[number, : len(row)] = row
    return Image.fromarray(canvas)


def _decode_line(line: str) -> list[list[tuple[int, ...]]]:
    nothing = (0, 0, 0, 0)
    front = back = nothing
    upper, lower = [], []
    for sgr, letter in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
        if letter:
            assert letter in "▀▄ ", line
            upper.append({"▀": front, "▄": back, " ": back}[letter])
            lower.append({"▀": back, "▄": front, " ": back}[letter])
            continue
        words = [int(word or 0) for word in sgr.split(";")]
        while words:
            word = words.pop(0)
            color = _read_color(words) if word in {38, 48} else nothing
            front = color if word in {38, 39, 0} else front
            back = color if word in {48, 49, 0} else back
    return [upper, lower]


def _read_color(words: list[int]) -> tuple[int, ...]:
    if words.pop(0) == 2:
        return (*(words.pop(0) for _ in range(3)), 255)
    number = words.pop(0)
    assert 16 <= number < 256
    if number >= 232:
        return (*[8 + 10 * (number - 232)] * 3, 255)
    levels = (0, 95, 135, 175, 215, 255)
    parts = ((number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6)
    return (*(levels[part] for part in parts), 255)
