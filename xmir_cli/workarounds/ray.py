"""Ray prints what happens to its nodes on standard output, where records and embeddings go."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced() -> Iterator[None]:
    """While it lasts, Ray prints nothing of nodes and workers.

    Why: `log_to_driver` keeps away what workers print, but not the 50 lines of a lost node, which
    would stand within a stream of embeddings; a lost node costs time alone.
    Seen with: ray 2.60.0
    Fails without: tests/ray/test_embed_ray.py test_what_ray_says_of_its_nodes_is_not_printed
    """
    from ray._private import worker  # noqa: PLC0415 # an extra

    before = worker._worker_logs_enabled
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before
