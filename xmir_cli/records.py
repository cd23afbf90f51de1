"""Where networks of one's own find `Preprocessing`, wherever it lies inside."""

from xmir_cli.wire.model import ModelSpec, Preprocessing

__all__ = ["ModelSpec", "Preprocessing"]
