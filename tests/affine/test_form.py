"""Shares of a transformer: summed, permuted, and derived by hand in float64."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from xmir_cli.affine.form import AffineForm
from xmir_cli.affine.holding import NoPartsError
from xmir_cli.affine.survey import Seat, find_last_in_block, find_tokens

CPU = torch.device("cpu")
SKETCHES = Path(__file__).parents[3] / "shared" / "design"
POOLS = [(1, "cls"), (4, "cls"), (0, "mean"), (3, "mean"), (1, "both"), (0, "attention")]


def tokens_of(network, prefixes):
    seat = find_tokens(network, 16, (4, 4), CPU)
    assert seat is not None
    assert (seat.first, seat.axes) == (prefixes, (1,))
    return seat


def by_hand(network, image, direction):
    """Shares [n] of the tokens and of the constants, layer by layer, all parts side by side.

    U[j] is what token j has in every token [m, C], K what constants have; they sum to the tokens.
    """
    p = {name: each.double().numpy() for name, each in network.state_dict().items()}
    patches = network.patches(image).flatten(2)[0].T.double().numpy()
    tokens = np.concatenate([p["prefix"][0], patches]) + p["positions"][0]
    count = len(tokens)
    u = np.zeros((count, *tokens.shape))
    u[np.arange(count), np.arange(count)] = tokens
    k = np.zeros_like(tokens)

    def norm(u, k, name):
        x = u.sum(0) + k
        scale = p[f"{name}.weight"] / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        u, k = (each - each.mean(-1, keepdims=True) for each in (u, k))
        return u * scale, k * scale + p[f"{name}.bias"]

    def linear(u, k, weight, bias):
        return u @ weight.T, k @ weight.T + bias

    def weigh(queries, keys):
        scores = queries @ keys.T / math.sqrt(keys.shape[1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        return scores / scores.sum(-1, keepdims=True)

    def attend(query, key, value, heads):
        """Both parts of the values, mixed by weights of whole queries and keys."""
        mixed = []
        for head in range(heads):
            width = key.shape[1] // heads
            at = slice(head * width, (head + 1) * width)
            weights = weigh(query[:, at], key[:, at])
            mixed.append(tuple(weights @ each[..., at] for each in value))
        return tuple(np.concatenate(each, axis=-1) for each in zip(*mixed, strict=True))

    for block in ("blocks.0", "blocks.1"):
        v, c = norm(u, k, f"{block}.norm1")
        v, c = linear(v, c, p[f"{block}.qkv.weight"], p[f"{block}.qkv.bias"])
        query, key, _ = np.split(v.sum(0) + c, 3, axis=-1)
        v, c = attend(query, key, (v[..., 16:], c[..., 16:]), 2)
        v, c = linear(v, c, p[f"{block}.out.weight"], p[f"{block}.out.bias"])
        u, k = u + v, k + c
        v, c = norm(u, k, f"{block}.norm2")
        v, c = linear(v, c, p[f"{block}.up.weight"], p[f"{block}.up.bias"])
        x = v.sum(0) + c
        gate = 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))  # gelu(x) / x
        v, c = linear(v * gate, c * gate, p[f"{block}.down.weight"], p[f"{block}.down.bias"])
        u, k = u + v, k + c
    u, k = norm(u, k, "norm")
    first = len(tokens) - 16
    if network.pool == "attention":
        weight, bias = p["attention.in_proj_weight"], p["attention.in_proj_bias"]
        query = p["query"][0] @ weight[:8].T + bias[:8]
        key = (u.sum(0) + k) @ weight[8:16].T + bias[8:16]
        v, c = attend(query, key, linear(u, k, weight[16:], bias[16:]), 2)
        out = p["attention.out_proj.weight"], p["attention.out_proj.bias"]
        u, k = (each[..., 0, :] for each in linear(v, c, *out))
    else:
        pooled = {"cls": [(0, 1)], "mean": [(first, None)], "both": [(0, 1), (first, None)]}
        u, k = (
            np.concatenate([each[..., a:b, :].mean(-2) for a, b in pooled[network.pool]], axis=-1)
            for each in (u, k)
        )
    along = direction.double().numpy()
    return u @ along, float(k @ along)


@pytest.mark.parametrize(("prefixes", "pool"), POOLS)
def test_shares_are_those_of_a_derivation_by_hand(prefixes, pool, make_vit, image):
    network = make_vit(prefixes, pool)
    form = AffineForm(network, image, tokens_of(network, prefixes))
    direction = torch.randn(len(form.raw), generator=torch.Generator().manual_seed(3))
    shares, rest = by_hand(network, image, direction)
    pulled = form.pull(direction)
    np.testing.assert_allclose(pulled.places, shares[prefixes:], atol=1e-5)
    assert pulled.prefix == pytest.approx(shares[:prefixes].sum(), abs=1e-5)
    assert pulled.rest == pytest.approx(rest, abs=1e-5)
    assert abs(rest) > 1e-2
    assert abs(pulled.missed) < 1e-5
    torch.testing.assert_close(form.raw, network(image)[0])
    assert form.held == ("attention", "deviations", "gates")


@pytest.mark.parametrize(("prefixes", "pool"), POOLS)
def test_permuting_patches_with_their_positions_permutes_the_shares(
    prefixes, pool, make_vit, image
):
    network, moved = make_vit(prefixes, pool), make_vit(prefixes, pool)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    positions = moved.positions.data
    positions[:, prefixes:] = positions[:, prefixes:][:, order]
    patches = torch.nn.functional.unfold(image, 4, stride=4)[:, :, order]
    other = torch.nn.functional.fold(patches, (16, 16), 4, stride=4)
    direction = torch.randn(len(network(image)[0]), generator=torch.Generator().manual_seed(3))
    straight = AffineForm(network, image, tokens_of(network, prefixes)).pull(direction)
    found = AffineForm(moved, other, tokens_of(moved, prefixes)).pull(direction)
    torch.testing.assert_close(found.places, straight.places[order], atol=1e-5, rtol=1e-4)
    assert (found.prefix, found.rest) == pytest.approx((straight.prefix, straight.rest), abs=1e-5)
    assert float(straight.places.std()) > 1e-2


def test_what_places_write_is_what_they_have_in_every_direction(make_vit, image):
    network = make_vit(2, "both")
    form = AffineForm(network, image, tokens_of(network, 2))
    written = form.written()  # 16 places and 16 dimensions: place by place
    direction, weights = torch.randn(16), torch.rand(16)
    torch.testing.assert_close(written @ direction, form.pull(direction).places, atol=1e-5, rtol=0)
    torch.testing.assert_close(form.push(weights), weights @ written, atol=1e-5, rtol=0)
    torch.testing.assert_close(written.sum(0) + form.others(), form.raw, atol=1e-5, rtol=0)
    few = AffineForm(make_vit(0, "mean"), image, Seat(form.seat.number, (1,), (4, 4)))
    pushed = torch.stack([few.push(row) for row in torch.eye(16)])  # 8 dimensions: those
    torch.testing.assert_close(few.written(), pushed, atol=1e-5, rtol=0)


def test_held_constants_leave_an_affine_network(make_vit, image):
    """Finite differences of the network whose attention, deviations and gates are held."""
    network = make_vit(1, "cls")
    form = AffineForm(network, image, tokens_of(network, 1))
    weights = torch.rand(16)
    steps = [form.push(weights * size) / size for size in (0.5, 1.0, 3.0)]
    for step in steps[1:]:
        torch.testing.assert_close(step, steps[0], atol=1e-5, rtol=0)


def direct_by_hand(network, image, direction):
    """What the values of each attention write past what follows, of a class token or a mean."""
    p, x = dict(network.state_dict()), None
    patches = network.patches(image).flatten(2)[0].T
    x = torch.cat([p["prefix"][0], patches])[None] + p["positions"]
    first, written = len(x[0]) - 16, 0
    for block in network.blocks:
        qkv = block.qkv(block.norm1(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)[:, 0]
        weights = (qkv[0] @ qkv[1].transpose(-1, -2) / 2).softmax(-1)  # [heads, n, n]
        each = torch.einsum("hij,hjd->jihd", weights, qkv[2]).flatten(2)  # [from, to, C]
        written = written + each @ block.out.weight.T
        x = block(x)
    scale = p["norm.weight"] / (x[0].var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    normed = (written - written.mean(-1, keepdim=True)) * scale
    pooled = normed[:, 0] if network.pool == "cls" else normed[:, first:].mean(1)
    return pooled @ direction


@pytest.mark.parametrize(("prefixes", "pool"), [(1, "cls"), (3, "cls"), (2, "mean")])
def test_direct_writes_are_those_of_a_derivation_by_hand(prefixes, pool, make_vit, image):
    network = make_vit(prefixes, pool)
    last = find_last_in_block(network, 16, CPU)
    form = AffineForm(network, image, Seat(0, (2,), (4, 4), prefixes, last))
    direction = torch.randn(8, generator=torch.Generator().manual_seed(3))
    expected = direct_by_hand(network, image, direction)
    pulled = form.pull(direction)
    torch.testing.assert_close(pulled.places, expected[prefixes:], atol=1e-5, rtol=1e-4)
    assert pulled.prefix == pytest.approx(float(expected[:prefixes].sum()), abs=1e-5)
    assert abs(pulled.missed) < 1e-5
    weights = torch.rand(16)
    assert float(form.push(weights) @ direction) == pytest.approx(
        float(weights @ pulled.places), abs=1e-5
    )


def test_direct_writes_pass_what_follows_the_pooling(make_vit, image):
    network = make_vit(1, "pooler")
    last = find_last_in_block(network, 16, CPU)
    pulled = AffineForm(network, image, Seat(0, (2,), (4, 4), 1, last)).pull(torch.ones(8))
    assert float(pulled.places.abs().min()) > 1e-5
    assert abs(pulled.missed) < 1e-5


def test_attention_that_pools_writes_nothing_directly(make_vit, image):
    network = make_vit(0, "attention")
    last = find_last_in_block(network, 16, CPU)
    with pytest.raises(NoPartsError, match="pools"):
        AffineForm(network, image, Seat(0, (2,), (4, 4), 0, last))


@pytest.mark.parametrize(("prefixes", "pool"), POOLS)
def test_a_sketch_from_elsewhere_agrees(prefixes, pool, make_vit, image, monkeypatch):
    if not (SKETCHES / "transformer_shares.py").exists():
        pytest.skip("the sketch is not here")
    monkeypatch.syspath_prepend(str(SKETCHES))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import transformer_shares

    network = make_vit(prefixes, pool)
    form = AffineForm(network, image, tokens_of(network, prefixes))
    direction = torch.nn.functional.normalize(torch.ones(len(form.raw)), dim=0)
    shares, rest, *_ = transformer_shares.shares(network, image, direction)
    pulled, length = form.pull(direction), float(form.raw.norm())
    torch.testing.assert_close(pulled.places / length, shares[prefixes:], atol=1e-5, rtol=1e-3)
    assert pulled.rest / length == pytest.approx(rest, abs=1e-4)
