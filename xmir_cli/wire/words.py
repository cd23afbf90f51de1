"""Words that ask: a text as it was typed, and the templates around it. They are data alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from xmir_cli.errors import SettingError

LARGEST_TEXT = 10_000  # characters
MOST_TEMPLATES = 1_000
LARGEST_PROMPTS = 1_000_000  # characters of a text in all of its templates
PLACE = "{}"  # of the text in a template


@dataclass(frozen=True)
class Words:
    """What is asked in words, of which text tower's making, and how much it counts."""

    text: str
    templates: tuple[str, ...] = ()
    weight: float | None = None  # beside an image, in [0, 1]; None: the words ask alone
    sha256: str = ""  # of the text tower

    def __post_init__(self) -> None:
        """Raise ValueError for more than anybody reads: every place repeats the whole text."""
        more = len(self.text) - len(PLACE)
        length = sum(len(each) + each.count(PLACE) * more for each in self.templates)
        if length > LARGEST_PROMPTS:
            raise ValueError(
                f"expected at most {LARGEST_PROMPTS} characters with the text in the templates, "
                f"found {length}"
            )

    @property
    def prompts(self) -> list[str]:
        """The texts that are embedded: the text itself, or as it stands in each template."""
        return [each.replace(PLACE, self.text) for each in self.templates] or [self.text]

    @property
    def said(self) -> str:
        """What is asked, whatever the text tower is, in one text."""
        return json.dumps([self.text, self.templates, self.weight])

    @property
    def digest(self) -> str:
        """Names all of it; the text cannot be read from it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def check_text(text: str) -> str:
    """The text, when somebody may ask with it; else ValueError."""
    if not text.strip():
        raise ValueError("expected words, found nothing")
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"expected at most {LARGEST_TEXT} characters, found {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("expected UTF-8") from None
    return text


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """The templates, when each has a place for the text; else ValueError."""
    if len(templates) > MOST_TEMPLATES:
        raise ValueError(f"expected at most {MOST_TEMPLATES} templates, found {len(templates)}")
    for each in templates:
        if PLACE not in check_text(each):
            raise ValueError(f"expected {PLACE} where the text goes, found {each[:60]}")
    return tuple(dict.fromkeys(templates))


def put_into(
    templates: Sequence[str], texts: Sequence[str], weight: float | None = None
) -> list[Words]:
    """Each text in the templates; raises SettingError for `templates` that cannot be."""
    try:
        checked = check_templates(templates)
        return [Words(text, checked, weight) for text in texts]
    except ValueError as error:
        raise SettingError("templates", str(error)) from None
