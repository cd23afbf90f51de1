"""What a method is fit for, told where it is asked of another network."""

from collections.abc import Iterable

from xmir_cli import console
from xmir_cli.model.embedder import Embedder
from xmir_cli.saliency import catalogue

_MISLED = "on transformers with planted opacities a blob in the middle found more"
_FOUND = ". `method` activation found them"
_UNTRIED = (
    "; no method was tried on networks such as this one, which attends in windows, over channels "
    "or to merged tokens, or mixes tokens without attention"
)


def warn_of_unfit(names: Iterable[str], embedder: Embedder) -> bool:
    """Warn of the methods that were shown to mislead on networks such as this one, if any.

    On phantoms with planted opacities; examples/trust measures it again. What was tried there are
    transformers whose tokens stay the same from the first block to the last.
    """
    unfit = [name for name in names if catalogue()[name].misleads_on_tokens]
    if not unfit:
        return False
    shares = embedder.shares
    if not (shares.has_tokens or shares.attends):
        return False
    tried = shares.has_tokens and shares.attends
    told = f"{_MISLED}{_FOUND if tried else _UNTRIED}"
    text = f"{', '.join(unfit)}: fit for convolutional networks; {told}"
    console.warning(console.in_words(text))
    return True
