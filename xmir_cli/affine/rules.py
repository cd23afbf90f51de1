"""What is held of each function: RULES, by the function that torch is asked for."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.affine.attention import attend, attend_with_heads
from xmir_cli.affine.holding import Holding, Rule, is_live
from xmir_cli.affine.norms import (
    normalise_groups,
    normalise_layer,
    normalise_length,
    normalise_root,
)
from xmir_cli.affine.selections import SELECTIONS

TorchFunction = Callable[..., Tensor]
_NEAR = 1e-6  # closer to 0 a gate is taken from here


def _gate(mode: Holding, func: TorchFunction, x: Tensor, *args: object, **kwargs: object) -> Tensor:
    """A pointwise f with f(0) = 0 as x * g, the gate g = f(x) / x held."""
    return _open(mode, func, x, 0.0, args, kwargs)


def _gate_from(
    mode: Holding, func: TorchFunction, x: Tensor, *args: object, **kwargs: object
) -> Tensor:
    """A pointwise f as x * g + f(0), the gate g = (f(x) - f(0)) / x held."""
    return _open(mode, func, x, None, args, kwargs)


def _open(  # noqa: PLR0913 # a function and how it was called
    mode: Holding,
    func: TorchFunction,
    x: Tensor,
    start: float | None,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> Tensor:
    if not is_live(x):
        return func(x, *args, **kwargs)
    kwargs = {name: value for name, value in kwargs.items() if name != "inplace"}

    def apply(values: Tensor) -> Tensor:
        return func(values, *args, **kwargs)

    begun = start if start is not None else mode.hold("gates", lambda: apply(torch.zeros_like(x)))

    def slope() -> Tensor:
        given = x.detach()
        near = (apply(torch.full_like(given, _NEAR)) - begun) / _NEAR
        return torch.where(given.abs() > _NEAR, (apply(given.clone()) - begun) / given, near)

    opened = x * mode.hold("gates", slope)
    return opened if start is not None else opened + begun


def _hold(kind: str) -> Rule:
    """The result is a constant: what weighs, divides, opens a gate or compares."""

    def rule(mode: Holding, func: TorchFunction, *args: object, **kwargs: object) -> Tensor:
        if not any(map(is_live, [*args, *kwargs.values()])):
            return func(*args, **kwargs)
        return mode.hold(kind, lambda: func(*args, **kwargs))

    return rule


def _share_product(
    mode: Holding, func: TorchFunction, a: object, b: object, *args: object, **kwargs: object
) -> Tensor:
    """A product: of two factors that depend on the image, half with either held."""
    if not (is_live(a) and is_live(b)):
        return func(a, b, *args, **kwargs)
    plain = _OUT_OF_PLACE.get(func, func)
    first = plain(a, mode.hold("factors", b.detach))
    return (first + plain(mode.hold("factors", a.detach), b)) / 2


def _share_sum_of_products(
    mode: Holding, func: TorchFunction, equation: str, *factors: Tensor
) -> Tensor:
    """`einsum`, likewise."""
    live = [number for number, factor in enumerate(factors) if is_live(factor)]
    if len(live) < 2:
        return func(equation, *factors)
    held = [mode.hold("factors", factor.detach) for factor in factors]
    parts = [
        func(equation, *held[:number], factors[number], *held[number + 1 :]) for number in live
    ]
    return torch.stack(parts).mean(dim=0)


def _divide(mode: Holding, func: TorchFunction, a: object, b: object, **kwargs: object) -> Tensor:
    """A quotient: the divisor is held."""
    if not is_live(b):
        return func(a, b, **kwargs)
    quotient: TorchFunction = torch.div
    return quotient(a, mode.hold("deviations", b.detach), **kwargs)


def _raise(mode: Holding, func: TorchFunction, x: Tensor, power: object) -> Tensor:
    """A power: a gate where 0 stays finite, else held."""
    least = float(power.min()) if isinstance(power, Tensor) else power
    whole = isinstance(least, int | float) and least > 0 and not is_live(power)
    return _gate(mode, func, x, power) if whole else _hold("deviations")(mode, func, x, power)  # type: ignore[return-value] # a rule gives a tensor here


def _spread_and_mean(
    mode: Holding, func: Callable[..., tuple[Tensor, Tensor]], *args: object, **kwargs: object
) -> tuple[Tensor, Tensor]:
    """`var_mean` and `std_mean`: the spread is held."""
    spread, mean = func(*args, **kwargs)
    return (mode.hold("deviations", spread.detach) if is_live(spread) else spread), mean


def _take_largest(
    mode: Holding, func: TorchFunction, x: Tensor, *args: object, **kwargs: object
) -> Tensor:
    """`max_pool2d` and `adaptive_max_pool2d`: the cells that they take are held."""
    if not is_live(x):
        return func(x, *args, **kwargs)
    kwargs = {**kwargs, "return_indices": True}
    taken = mode.hold("maxima", lambda: func(x, *args, **kwargs)[1])
    return x.flatten(-2).gather(-1, taken.flatten(-2)).reshape(taken.shape)


def _take_largest_of(
    mode: Holding,
    func: TorchFunction,
    input: Tensor,  # noqa: A002 # torch's name
    dim: tuple[int, ...] | int = (),
    keepdim: bool = False,
) -> Tensor:
    """`amax`: which are the largest is held; tied ones share."""
    if not is_live(input):
        return func(input, dim, keepdim)

    def which() -> Tensor:
        largest = (input == func(input, dim, keepdim=True)).to(input)
        return largest / largest.sum(dim, keepdim=True)

    return (input * mode.hold("maxima", which)).sum(dim, keepdim=keepdim)


def _gate_linear_unit(
    mode: Holding,
    func: TorchFunction,
    input: Tensor,  # noqa: A002 # torch's name
    dim: int = -1,
) -> Tensor:
    """`glu`."""
    del func
    first, second = input.chunk(2, dim)
    return first * mode.hold("gates", second.sigmoid)


_GATES: tuple[object, ...] = (
    functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
    functional.relu6, functional.leaky_relu, functional.leaky_relu_, functional.elu,
    functional.elu_, functional.selu, functional.celu, functional.gelu, functional.silu,
    functional.mish, functional.hardswish, functional.prelu, functional.tanh, torch.tanh,
    Tensor.tanh, Tensor.tanh_, functional.softsign, torch.abs, Tensor.abs, torch.sqrt, Tensor.sqrt,
    torch.square, Tensor.square,
)  # fmt: skip
_GATES_FROM: tuple[object, ...] = (
    functional.hardtanh, functional.hardtanh_, functional.softplus, torch.clamp, Tensor.clamp,
    Tensor.clamp_, torch.clamp_min, Tensor.clamp_min, torch.clamp_max, Tensor.clamp_max,
)  # fmt: skip
_WEIGHTS: tuple[object, ...] = (
    functional.softmax, torch.softmax, Tensor.softmax, functional.log_softmax,
)  # fmt: skip
_OPENINGS: tuple[object, ...] = (
    functional.sigmoid, torch.sigmoid, Tensor.sigmoid, Tensor.sigmoid_, functional.hardsigmoid,
    functional.logsigmoid, torch.erf, Tensor.erf, Tensor.gt, Tensor.ge, Tensor.lt, Tensor.le,
    Tensor.eq, Tensor.ne, torch.gt, torch.ge, torch.lt, torch.le, torch.eq, torch.ne,
    Tensor.__gt__, Tensor.__ge__, Tensor.__lt__, Tensor.__le__, Tensor.__eq__, Tensor.__ne__,
)  # fmt: skip
_DEVIATIONS: tuple[object, ...] = (
    torch.exp, Tensor.exp, torch.rsqrt, Tensor.rsqrt, torch.reciprocal, Tensor.reciprocal,
    torch.norm, Tensor.norm, torch.linalg.norm, torch.linalg.vector_norm, torch.var, Tensor.var,
    torch.std, Tensor.std, torch.log, Tensor.log,
)  # fmt: skip
_OUT_OF_PLACE: dict[object, TorchFunction] = {Tensor.mul_: torch.mul, Tensor.__imul__: torch.mul}
_PRODUCTS: tuple[object, ...] = (
    torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, *_OUT_OF_PLACE, torch.matmul,
    Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm,
)  # fmt: skip
_QUOTIENTS: tuple[object, ...] = (
    torch.div, Tensor.div, Tensor.__truediv__, torch.true_divide, Tensor.div_, Tensor.__itruediv__,
)  # fmt: skip
NORMS: dict[object, Rule] = {
    **dict.fromkeys((functional.layer_norm, torch.layer_norm), normalise_layer),
    **dict.fromkeys((functional.rms_norm, torch.rms_norm), normalise_root),
}
ATTENTION: dict[object, Rule] = {
    functional.scaled_dot_product_attention: attend,
    functional.multi_head_attention_forward: attend_with_heads,
}
BENDS = frozenset((*_GATES, *_GATES_FROM, *_OPENINGS))  # what a block bends its inputs with
RULES: dict[object, Rule] = {
    **dict.fromkeys(_GATES, _gate),
    **dict.fromkeys(_GATES_FROM, _gate_from),
    **dict.fromkeys(_WEIGHTS, _hold("attention")),
    **dict.fromkeys(_OPENINGS, _hold("gates")),
    **dict.fromkeys(_DEVIATIONS, _hold("deviations")),
    **dict.fromkeys(_PRODUCTS, _share_product),
    **dict.fromkeys(_QUOTIENTS, _divide),
    **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__), _raise),
    **dict.fromkeys((torch.var_mean, torch.std_mean), _spread_and_mean),
    **dict.fromkeys((functional.group_norm, torch.group_norm), normalise_groups),
    **dict.fromkeys(
        (functional.max_pool2d, torch.max_pool2d, functional.adaptive_max_pool2d), _take_largest
    ),
    **dict.fromkeys((torch.amax, Tensor.amax), _take_largest_of),
    torch.einsum: _share_sum_of_products,
    functional.normalize: normalise_length,
    functional.glu: _gate_linear_unit,
    **SELECTIONS,
    **NORMS,
    **ATTENTION,
}
