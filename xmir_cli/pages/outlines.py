"""What experts marked on the images of a page, to be outlined there."""

from collections.abc import Iterable

from xmir_cli import console
from xmir_cli.arrays import Booleans
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pages.entries import PageEntry
from xmir_cli.truth.marks import MarkedImage, Truth, merge, query_image, retrieved_image


class Outlines:
    """Finds what is marked on images; what cannot be used is said once and left out."""

    def __init__(self, truth: Truth, entries: Iterable[PageEntry]) -> None:
        """Raises DataError where nothing of the entries can be found there."""
        if not any(truth.meets(image) for each in entries for image in _images(each)):
            raise DataError(truth.say_nothing())
        self._truth = truth
        self._found = 0
        self._bad: set[str] = set()

    def of(self, image: MarkedImage, size: tuple[int, int]) -> Booleans | None:
        """All that is marked on an image of that width and height; None for nothing."""
        try:
            marks = merge(self._truth.of(image, size) or (), None)
        except (ItemError, DataError) as error:
            if str(error) not in self._bad:
                self._bad.add(str(error))
                console.note(f"{console.show(image.name)}: {error}; not outlined")
            return None
        if not marks:
            return None
        self._found += 1
        return marks[0].mask

    def say(self) -> None:
        """Say so where nothing was found at all."""
        if not self._found and not self._bad:
            console.note(self._truth.say_nothing())


def _images(entry: PageEntry) -> list[MarkedImage]:
    return [query_image(entry.view), retrieved_image(entry.view)]
