"""Rules of direct writes: what the values of every attention write into the embedding.

Norms that feed a block are constants, so that no block sees what earlier ones wrote: of the whole
only attention weights, the values, and the last norm's deviation are left. Of networks whose norms
stand before their blocks.

Source: Gandelsman et al., Interpreting CLIP's image representation via text-based decomposition,
ICLR 2024.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from xmir_cli.affine.holding import Holding, Rule
from xmir_cli.affine.rules import ATTENTION, NORMS, RULES


def direct_rules(last: int) -> Mapping[object, Rule]:
    """The rules where `last` is the number of the last call inside a block."""

    def held_before(norm: Rule) -> Rule:
        def rule(mode: Holding, func: object, *args: object, **kwargs: object) -> object:
            if mode.calls >= last:
                return norm(mode, func, *args, **kwargs)
            return mode.hold("deviations", lambda: _plain(func, args, kwargs))

        return rule

    return {
        **RULES,
        **{func: held_before(norm) for func, norm in NORMS.items()},
        **{func: partial(rule, direct=True) for func, rule in ATTENTION.items()},
    }


def _plain(func: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Tensor:
    assert callable(func)
    result: Tensor = func(*args, **kwargs)
    return result
