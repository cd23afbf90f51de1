"""A name becomes an architecture; the table of sources says who knows it.

A new source of networks is a file with a `Source` and a row here.
"""

from xmir_cli.errors import ModelError
from xmir_cli.model.network import Architecture, Source
from xmir_cli.model.own_networks import OWN, trust
from xmir_cli.model.timm_networks import TIMM
from xmir_cli.model.torchvision_networks import TORCHVISION
from xmir_cli.workarounds.torch.compiler import leave_compiler_out

__all__ = ["Architecture", "build_architecture", "source_of", "trust"]

SOURCES = (TIMM, OWN, TORCHVISION)  # in the order asked: a name of timm's has a colon, too


def build_architecture(name: str, input_size: int | None = None) -> Architecture:
    """The architecture `name` with freshly initialised weights.

    Raises ModelError when the name means nothing, or the package or file is not there.
    """
    with leave_compiler_out():
        return source_of(name).build(name, input_size)


def source_of(name: str) -> Source:
    """Who knows the name; raises ModelError for one that nobody knows."""
    for source in SOURCES:
        if source.recognises(name):
            return source
    known = "; ".join(source.names for source in (TORCHVISION, TIMM, OWN))
    raise ModelError(f"{name}: not a known architecture", f"Known are {known}.")
