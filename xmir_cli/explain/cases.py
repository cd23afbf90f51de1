"""Images loaded for explanation: decoded in parallel, embedded together, each one only once."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from xmir_cli.errors import ItemError
from xmir_cli.explain.keep import Keep
from xmir_cli.images.decode import Picture, decode_bytes, read_bytes
from xmir_cli.model.batches import decode_all
from xmir_cli.model.embedder import Embedder, View
from xmir_cli.saliency.sample import Sample, make_samples

CACHE = 512 << 20  # bytes of cases kept beside those in use


@dataclass(frozen=True, eq=False)
class Case:
    """An image with its file's hash, its original picture, and what the methods see."""

    sha256: str
    picture: Picture
    view: View
    sample: Sample

    @property
    def bytes(self) -> int:
        """Memory held, with everything that methods remembered about the image."""
        width = {"L": 1, "F": 4}.get(self.picture.pixels.mode, 3)
        picture = self.picture.width * self.picture.height * width
        return picture + self.view.pixels.nbytes + self.sample.bytes


class Cases:
    """Loads cases; those used last stay within a bound of memory."""

    def __init__(
        self,
        embedder: Embedder,
        jobs: int | None = None,
        limit: int = CACHE,
        keep: Keep | None = None,
    ) -> None:
        self.embedder = embedder
        self.limit = limit
        self.keep = keep
        self._kept: OrderedDict[str, Case] = OrderedDict()
        self._jobs = jobs

    def load(self, paths: Iterable[str]) -> dict[str, Case | ItemError]:
        """The case of every path, or why there is none; new images share their forward passes."""
        wanted = list(dict.fromkeys(paths))
        found: dict[str, Case | ItemError] = {
            path: self._kept[path] for path in wanted if path in self._kept
        }
        found.update(self._load_new([path for path in wanted if path not in found]))
        for path in wanted:
            case = found[path]
            if isinstance(case, Case):
                self._kept[path] = case
                self._kept.move_to_end(path)
        self._forget()
        return found

    def _load_new(self, paths: Sequence[str]) -> dict[str, Case | ItemError]:
        results = decode_all(paths, self._open, self._jobs)
        opened = dict(zip(paths, results, strict=True))
        usable = {path: each for path, each in opened.items() if isinstance(each, _Opened)}
        inputs = [self.embedder.to_input(each.view) for each in usable.values()]
        samples = make_samples(self.embedder, inputs)
        cases = {
            path: self._case(each, sample)
            for (path, each), sample in zip(usable.items(), samples, strict=True)
        }
        errors = {path: each for path, each in opened.items() if isinstance(each, ItemError)}
        return {**cases, **errors}

    def _case(self, opened: "_Opened", sample: Sample) -> Case:
        sample = replace(sample, roi=opened.view.roi)
        if self.keep is not None:
            sample = replace(sample, memo=self.keep.memo(self.embedder, opened.sha256))
        return Case(opened.sha256, opened.picture, opened.view, sample)

    def _open(self, path: str) -> "_Opened":
        data = read_bytes(path)
        picture = decode_bytes(data, path, self.embedder.spec.preprocessing.window)
        return _Opened(hashlib.sha256(data).hexdigest(), picture, self.embedder.view(picture))

    def _forget(self) -> None:
        # sizes are taken anew: methods add to a sample's memo
        sizes = {path: case.bytes for path, case in self._kept.items()}
        total = sum(sizes.values())
        while total > self.limit and len(self._kept) > 1:
            path, _ = self._kept.popitem(last=False)
            total -= sizes[path]


@dataclass(frozen=True, eq=False)
class _Opened:
    sha256: str
    picture: Picture
    view: View
