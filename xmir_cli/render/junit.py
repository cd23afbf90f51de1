"""Test results for continuous integration: JUnit's XML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

# what XML 1.0 cannot hold, even escaped
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name='


@dataclass(frozen=True)
class JunitCase:
    """One check: passed, unless `failure`, `error` or `missing` says why not."""

    group: str
    name: str
    failure: str = ""  # it ran and was not met
    error: str = ""  # it could not run
    missing: str = ""  # there was nothing to run it on
    told: str = ""  # what was found, where that is no failure


def is_junit(path: Path) -> bool:
    """Whether a file holds checks that a command of xmir wrote."""
    if not path.is_file():
        return False
    ours = f'{_HEAD}"xmir '.encode()
    with path.open("rb") as file:
        return file.read(len(ours)) == ours


def junit(suite: str, cases: Sequence[JunitCase]) -> str:
    """The XML of a suite of cases, everything in it escaped."""
    failures = sum(bool(case.failure) for case in cases)
    errors = sum(bool(case.error) for case in cases)
    missing = sum(bool(case.missing) for case in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{missing}"'
    lines = [
        f"{_HEAD}{_attribute(suite)} {counts}>",
        *(_case(case) for case in cases),
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(case: JunitCase) -> str:
    head = f"<testcase classname={_attribute(case.group)} name={_attribute(case.name)}"
    told = {"error": case.error, "failure": case.failure, "skipped": case.missing}
    kind, message = next(filter(lambda each: each[1], told.items()), ("", ""))
    if not message:
        out = f"<system-out>{escape(_plain(case.told))}</system-out>"
        return f"{head}>{out}</testcase>" if case.told else f"{head}/>"
    text = escape(_plain(message))
    return f"{head}><{kind} message={_attribute(message)}>{text}</{kind}></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(_plain(text))


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
