"""Images loaded for explanation: decoded in parallel, embedded together, each one only once."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from xmir_cli.errors import ItemError
from xmir_cli.explain.keep import MemoFolder
from xmir_cli.images.picture import Picture
from xmir_cli.model.embedder import Embedder
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.crop import Crop
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.reading import Reading, read_file
from xmir_cli.saliency.sample import Sample, make_samples

CACHE = 512 << 20  # bytes of cases kept beside those in use


@dataclass(frozen=True, eq=False)
class Case:
    """An image with its original picture and what the methods see."""

    identity: str
    crop: Crop
    sample: Sample
    picture: Picture | None  # to draw on
    stored: bool = False  # whether an index lent its feature map, and the network saw nothing

    @property
    def bytes(self) -> int:
        """Memory held, with everything that methods remembered about the image."""
        if self.picture is None:
            return self.sample.bytes
        width = {"L": 1, "F": 4}.get(self.picture.pixels.mode, 3)
        return self.picture.width * self.picture.height * width + self.sample.bytes


Lender = Callable[[Embedder, Sequence[str]], dict[str, Case]]  # the cases of those paths it knows


class Cases:
    """Loads cases; those used last stay within a bound of memory. `draws`: with pictures."""

    def __init__(
        self,
        embedder: Embedder,
        jobs: int | None = None,
        limit: int = CACHE,
        keep: MemoFolder | None = None,
        draws: bool = True,
    ) -> None:
        self.embedder = embedder
        self.limit = limit
        self.keep = keep
        self.draws = draws
        self._kept: OrderedDict[str, Case] = OrderedDict()
        self._jobs = jobs
        self._seen = 0  # images that passed the network: the job is at least as large

    def load(
        self, paths: Iterable[str], lender: Lender | None = None
    ) -> dict[str, Case | ItemError]:
        """The case of every path, or why there is none; new images share their forward passes.

        What `lender` knows passes no network.
        """
        wanted = list(dict.fromkeys(paths))
        found: dict[str, Case | ItemError] = {}
        if lender is not None:
            lent = lender(self.embedder, wanted)
            found.update(self._with_pictures(lent) if self.draws else lent)
        found.update({path: self._kept[path] for path in wanted if path in self._kept} | found)
        found.update(self._load_new([path for path in wanted if path not in found]))
        for path in wanted:
            case = found[path]
            if isinstance(case, Case) and not case.stored:
                self._kept[path] = case
                self._kept.move_to_end(path)
        self._forget()
        return found

    def _with_pictures(self, lent: Mapping[str, Case]) -> dict[str, Case | ItemError]:
        """The same to draw on, but for those whose files are no longer what the index saw."""
        found: dict[str, Case | ItemError] = {}
        for path, read in zip(lent, decode_all(lent, self._read, self._jobs), strict=True):
            if isinstance(read, ItemError):
                found[path] = read.because(
                    f"{read.detail}; the index has its map: try without overlays"
                )
            elif read[0] == lent[path].identity:
                found[path] = replace(lent[path], picture=read[1])
        return found

    def _load_new(self, paths: Sequence[str]) -> dict[str, Case | ItemError]:
        results = decode_all(paths, self._open, self._jobs)
        opened = dict(zip(paths, results, strict=True))
        usable = {path: each for path, each in opened.items() if isinstance(each, Reading)}
        inputs = [each.input for each in usable.values()]
        self._seen += len(inputs)
        samples = make_samples(self.embedder, inputs, self._seen)
        cases = {
            path: self._case(each, sample)
            for (path, each), sample in zip(usable.items(), samples, strict=True)
        }
        errors = {path: each for path, each in opened.items() if isinstance(each, ItemError)}
        return {**cases, **errors}

    def _case(self, reading: Reading, sample: Sample) -> Case:
        crop = reading.view.crop
        sample = replace(sample, roi=crop.roi, picture=crop.image_size)
        if self.keep is not None:
            sample = replace(sample, memo=self.keep.memo(self.embedder, reading.identity))
        return Case(reading.identity, crop, sample, reading.picture)

    def _open(self, path: str) -> Reading:
        recipe, file = self.embedder.recipe, open_image(path)
        reading = read_file(file, recipe)
        if self.draws and reading.picture.reduction > 1:
            return replace(reading, picture=file.decode(recipe.window))
        return reading

    def _read(self, path: str) -> tuple[str, Picture]:
        """The identity of an image and its picture."""
        file = open_image(path)
        return file.identity, file.decode(self.embedder.recipe.window)

    def _forget(self) -> None:
        # sizes are taken anew: methods add to a sample's memo
        sizes = {path: case.bytes for path, case in self._kept.items()}
        total = sum(sizes.values())
        while total > self.limit and len(self._kept) > 1:
            path, _ = self._kept.popitem(last=False)
            total -= sizes[path]
