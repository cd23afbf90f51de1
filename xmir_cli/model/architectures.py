"""A name becomes an architecture; the table of sources says who knows it."""

from xmir_cli.model import own_networks
from xmir_cli.model.named import trust
from xmir_cli.model.network import Architecture
from xmir_cli.model.pooling import repool
from xmir_cli.model.size_limits import bounded
from xmir_cli.model.sources import source_of
from xmir_cli.workarounds.torch.compiler import leave_compiler_out

__all__ = ["Architecture", "build_architecture", "is_own", "source_of", "trust"]


def build_architecture(
    name: str, input_size: int | None = None, pool: str = "native"
) -> Architecture:
    """The architecture `name` with freshly initialised weights and that pooling of its tokens.

    Raises ModelError when the name means nothing, or the package or file is not there; SettingError
    when it has not what `pool` asks for.
    """
    with leave_compiler_out(), bounded(name):
        return repool(source_of(name).build(name, input_size), pool, name)


def is_own(name: str) -> bool:
    """Whether the name is one of the user's own networks, whose code may be anything."""
    return source_of(name) is own_networks
