"""What every architecture becomes: features, then head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.head import AveragePool, Head, OpaqueHead
from xmir_cli.model.whitening import Whiten
from xmir_cli.wire.model import Preprocessing

Adapt = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Architecture:
    """What a user's own FILE.py:FUNCTION returns, and what every known name becomes.

    `features` maps [B, 3, H, W] in model space to [B, channels, h, w]; `pool` maps that to
    [B, channels] (AveragePool, MaxPool, GeMPool of xmir_cli.model.head); `after` are affine steps
    that belong to the network itself. `head`, when given, takes the place of both.
    """

    features: nn.Module
    channels: int
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    pool: nn.Module = field(default_factory=AveragePool)
    after: tuple[nn.Module, ...] = ()
    head: OpaqueHead | None = None
    # prefixes of a library checkpoint's tensor names and where they lie in Network
    names: tuple[tuple[str, str], ...] = (("", "features."),)
    # prefixes of those of its classifiers, which have no place here
    classifiers: tuple[str, ...] = ()
    # the library's own way from a checkpoint's tensors, by its names, to this network's
    adapt: Adapt | None = None
    # whether it makes one vector by itself; else `pool` must say how
    pools: bool = True
    # what is to be said of it once, such as where its preprocessing is from
    notes: tuple[str, ...] = ()
    # what beside its tensors makes the network, as far as a file says it; part of their hash
    made_as: str = ""


class Network(nn.Module):
    """features, then head: images [B, 3, H, W] to raw embeddings [B, D]."""

    def __init__(self, architecture: Architecture, head_size: int | None) -> None:
        super().__init__()
        self.features, self.made_as = architecture.features, architecture.made_as
        linear = [] if head_size is None else [nn.Linear(architecture.channels, head_size)]
        self.head: Head | OpaqueHead
        if architecture.head is None:
            self.head = Head(architecture.pool, [*architecture.after, *linear])
        elif head_size is None:
            self.head = architecture.head
        else:
            self.head = _WithLinear(architecture.head, linear[0])
        self.dim = architecture.channels if head_size is None else head_size

    def forward(self, images: Tensor) -> Tensor:
        embedding: Tensor = self.head(self.features(images))
        return embedding

    @property
    def own_head(self) -> nn.Module:
        """The head without the linear layer that may be wrapped around it."""
        return self.head.inner if isinstance(self.head, _WithLinear) else self.head

    def whiten(self, step: Whiten) -> None:
        """Put the whitening of an index behind the head; raises ModelError for one that is not."""
        before, after = step.dims
        if before != self.dim:
            raise ModelError(f"a whitening of {before} numbers, and the network makes {self.dim}")
        if isinstance(self.head, Head):
            self.head.after.append(step)
        else:
            self.head = _Whitened(self.head, step)
        self.dim = after


class _WithLinear(OpaqueHead):
    def __init__(self, inner: OpaqueHead, linear: nn.Linear) -> None:
        super().__init__()
        self.inner, self.linear = inner, linear

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.linear(self.inner(features))
        return embedding


class _Whitened(OpaqueHead):
    def __init__(self, inner: OpaqueHead, step: Whiten) -> None:
        super().__init__()
        self.inner, self.step = inner, step

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.step(self.inner(features))
        return embedding


def triple(values: Sequence[float]) -> tuple[float, float, float]:
    """Three floats, one a channel."""
    first, second, third = values
    return float(first), float(second), float(third)


def download_failed(name: str, error: Exception) -> ModelError:
    """What to say when a library cannot fetch its ImageNet weights."""
    return ModelError(
        f"imagenet weights of {name}: the download failed ({type(error).__name__})",
        "Fetch the file on a connected machine and pass it as `weights` FILE, "
        "or start from `weights` random:0.",
    )
