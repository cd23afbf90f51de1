"""The loaded network: from the model space to feature maps, to the embedding."""

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from xmir_cli import console, steps
from xmir_cli.affine.deriving import deriving
from xmir_cli.errors import ModelError, is_starved
from xmir_cli.model.head import Head
from xmir_cli.model.network import Network
from xmir_cli.model.shares import Shares
from xmir_cli.program.compile import compile_program
from xmir_cli.program.program import Program
from xmir_cli.program.workers import share_out
from xmir_cli.wire.model import ModelSpec, Preprocessing
from xmir_cli.workarounds.torch.tensors import count_changes

FeatureFunction = Callable[[Tensor], Tensor]  # images [B, 3, S, S] -> feature maps [B, C, h, w]

BATCH = 16  # images of a forward pass, where nothing else is asked for
_MANY = 100  # images of a job from which it pays to make a program of the network first
PART = 4  # images that a thread passes at once: more are no faster, and take memory
_TOKENS = 8 * 224 * 224  # pixels of them where tokens are the rows of products: few rows are slow
_THREADS = 8  # for which there is a part each before parts of a few images become larger
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Embedder:
    """A network in eval mode with its preprocessing, on its device.

    `batch` images pass at once; when memory runs out it is halved and the pass goes on. On the CPU
    they are shared out to threads, a few at once each.
    """

    def __init__(
        self,
        network: Network,
        spec: ModelSpec,
        device: torch.device,
        precision: str = "fp32",
        batch: int = BATCH,
    ) -> None:
        self.network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stub lacks it
        self.spec, self.device, self.precision = spec, device, precision
        self.dim = network.dim
        self.size = spec.preprocessing.input_size
        self.batch = batch
        self._compiled: tuple[int, Program | None] | None = None

    @property
    def recipe(self) -> Preprocessing:
        """From a picture to the network's input."""
        return self.spec.preprocessing

    @property
    def program(self) -> Program | None:
        """The network's features as steps that can run in part; None where that does not pay.

        That is everywhere but on the CPU in float32, and for networks that cannot be followed.
        """
        if self.device.type != "cpu" or self.precision != "fp32":
            return None
        state = self.network.features.state_dict().values()
        version = count_changes(state)
        if self._compiled is None or self._compiled[0] != version:
            compiling = partial(compile_program, self.network.features)
            (program,) = share_out(compiling, [self.size])
            self._compiled = (version, program)
        return self._compiled[1]

    @cached_property
    def shares(self) -> Shares:
        """How the embedding is shared out where its cells alone do not sum to it; in float32."""
        return Shares(self.network, self.size, self.device)

    def forward_features(self, images: Tensor, job: int = 0) -> Tensor:
        """Feature maps [B, C, h, w] on the device, without gradients, of images [B, 3, S, S].

        `job` is how many images will pass in all, here and in the methods below, when that is more
        than these: for a large one the network is first compiled, after which the last bits of the
        results are others.
        """
        return self._in_batches(self._features(max(job, len(images))), images)

    def project(self, features: Tensor) -> Tensor:
        """Raw embeddings [B, D] of feature maps [B, C, h, w]; differentiable."""
        embedding: Tensor = self.network.head(features)
        return embedding

    def gradient(self, features: Tensor, direction: Tensor) -> Tensor:
        """The gradient [C, h, w] of direction [D] . e with respect to one map [C, h, w].

        Behind average pooling it is the same in every cell: a product of matrix and vector.
        """
        head = self.network.head
        pooled = head.pull_back(direction.to(features)) if isinstance(head, Head) else None
        if pooled is not None:
            return (pooled / features[0].numel())[:, None, None].expand_as(features)
        leaf = features[None].detach().clone().requires_grad_()
        with deriving(), torch.enable_grad():
            raw = self.project(leaf.clone())[0]
            along = raw @ direction.to(raw)  # a number; of a vector torch would import sympy, 0.5 s
            (gradient,) = torch.autograd.grad(along, leaf)
        return gradient.squeeze(0)

    def cells(self, features: Tensor, bias: bool = True) -> Tensor:
        """Equivalent embeddings [B, h*w, D] whose sum over the cells is the raw embedding.

        Of networks where `shares` has no seat.
        """
        assert isinstance(self.network.head, Head)
        return self.network.head.cells(features, bias)

    def embed(self, images: Tensor, job: int = 0) -> Tensor:
        """Unit embeddings [B, D], float32 on the CPU, of images [B, 3, S, S]; zero stays zero."""
        return self.embed_made(images, lambda part: part, job)

    def embed_made(self, rows: Tensor, make: FeatureFunction, job: int = 0) -> Tensor:
        """The same of the images [b, 3, S, S] that `make` makes of any of the `rows` [B].

        They are made when their turn has come, so that no more are held than pass at once.
        """
        features = self._features(max(job, len(rows)))

        def step(part: Tensor) -> Tensor:
            return unit(self.project(features(make(part))).float()).cpu()

        return self._in_batches(step, rows)

    def embed_with_features(self, images: Tensor, job: int = 0) -> tuple[Tensor, Tensor]:
        """The same embeddings, bit by bit, and the feature maps [B, C, h, w] on the CPU."""
        features, shapes = self._features(max(job, len(images))), set[torch.Size]()

        def step(part: Tensor) -> Tensor:
            maps = features(part)
            shapes.add(maps.shape[1:])
            embedding = unit(self.project(maps).float())
            return torch.cat([embedding, maps.flatten(1).float()], dim=1).cpu()

        both = self._in_batches(step, images)
        return both[:, : self.dim], both[:, self.dim :].unflatten(1, shapes.pop())

    def feature_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a feature map."""
        maps = self.forward_features(torch.zeros(1, 3, self.size, self.size))
        channels, rows, columns = maps.shape[1:]
        return channels, rows, columns

    def _features(self, count: int) -> FeatureFunction:
        """The fastest way to the feature maps of `count` images."""
        program = self.program if count >= _MANY else None
        return self._plain_features if program is None else program.run

    def _plain_features(self, images: Tensor) -> Tensor:
        images = images.to(self.device, memory_format=torch.channels_last)
        if self.precision == "fp32":
            features: Tensor = self.network.features(images)
            return features
        with torch.autocast(self.device.type, _DTYPES[self.precision]):
            narrow: Tensor = self.network.features(images)
        return narrow.float()

    def _in_batches(self, step: FeatureFunction, images: Tensor) -> Tensor:
        """What the step makes of all images; on the CPU the parts depend on their number alone."""
        if not len(images):
            return torch.empty(0, self.dim)
        if self.device.type != "cpu":
            return self._one_by_one(step, images)
        most = min(self.part, max(PART, len(images) // _THREADS))
        # an even number of nearly equal parts, so that two threads have done at the same time
        pairs = -(-len(images) // (2 * most))
        parts = images.tensor_split(min(2 * pairs, len(images)))
        return torch.cat(share_out(partial(self._one_by_one, step), parts))

    @property
    def part(self) -> int:
        """How many images a thread passes at once, where there are enough for many threads."""
        if not any(isinstance(layer, nn.Linear) for layer in self.network.features.modules()):
            return PART
        return min(BATCH, max(PART, _TOKENS // self.size**2))

    def _one_by_one(self, step: FeatureFunction, images: Tensor) -> Tensor:
        """What the step makes of one batch after the other."""
        done: list[Tensor] = []
        start = 0
        while start < len(images):
            batch = images[start : start + self.batch]
            made = self._try(step, batch)
            if made is None:
                self._halve(len(batch))
            else:
                done.append(made)
                start += len(made)
                steps.advance(len(made))
        return torch.cat(done)

    def _try(self, step: FeatureFunction, images: Tensor) -> Tensor | None:
        """The result, or None when memory ran out; nothing of the failed pass is kept alive."""
        try:
            with torch.no_grad():
                return step(images)
        except RuntimeError as error:
            if not is_starved(error):
                raise
            return None

    def _halve(self, tried: int) -> None:
        """Half of the batch that was `tried` from now on; several threads may ask for it."""
        if tried == 1:
            raise ModelError(
                f"{self.device}: not enough memory for one image of {self.size} pixels",
                "Use a smaller network or `device` cpu. A smaller `input_size` needs less, too.",
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if tried // 2 < self.batch:
            self.batch = tried // 2
            console.note(f"out of memory on {self.device}: batch halved to {self.batch}")


def unit(raw: Tensor) -> Tensor:
    """Rows of norm 1 along the last dimension; rows shorter than 1e-12 become zero."""
    norm = raw.norm(dim=-1, keepdim=True)
    return torch.where(norm < 1e-12, torch.zeros_like(raw), raw / norm.clamp(min=1e-12))
