"""What a method is fit for, told where it is asked of another network."""

from collections.abc import Iterable

from xmir_cli import console
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency import catalogue


def warn_of_unfit(names: Iterable[str], embedder: Embedder) -> bool:
    """Warn of the methods that were shown to mislead on networks such as this one, if any.

    On phantoms with planted opacities; examples/trust measures it again.
    """
    unfit = [name for name in names if catalogue()[name].misleads_on_tokens]
    if not unfit or not embedder.has_tokens:
        return False
    text = (
        f"{', '.join(unfit)}: fit for convolutional networks; on transformers with planted "
        "opacities a blob in the middle found more. `method` activation found them"
    )
    console.warning(console.in_words(text))
    return True
