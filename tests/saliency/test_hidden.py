import itertools

import pytest
import torch
from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.saliency import hidden
from xmir_cli.saliency.hidden import find_largest_error, hidden_embeddings, split_coarse_to_fine
from xmir_cli.saliency.methods.occlusion import Method, correlation
from xmir_cli.saliency.sample import make_samples
from xmir_cli.saliency.windows import boxes
from xmir_cli.wire.model import ModelSpec, Preprocessing

SIZE = 64


@pytest.fixture
def deep():
    """Ten 3 x 3 convolutions, so that a change reaches far and fades on its way."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        for _ in range(10):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
        features = nn.Sequential(*layers).eval()
    recipe = Preprocessing(input_size=SIZE, resize=SIZE)
    network = Network(Architecture(features, 8, recipe), None)
    return Embedder(network, ModelSpec("deep", "random:3", None, recipe), torch.device("cpu"))


@pytest.fixture
def samples(deep):
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(3, 3, 8, 8, generator=generator)
    images = nn.functional.interpolate(coarse, SIZE, mode="bicubic")
    return lambda: make_samples(deep, list(images))


def embeddings(embedder, target, explained, **settings):
    method = Method(window_size=8, stride=4, grid="valid", **settings)
    windows = boxes(SIZE, 8, 4, "valid")
    how = method._hiding(embedder, explained)
    return hidden_embeddings(embedder, target, explained, windows, how)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4, 1e-6])
def test_error_stays_within_the_tolerance_and_is_stated(tolerance, deep, samples):
    target, _, explained = samples()
    exact = embeddings(deep, target, explained)
    found = embeddings(deep, target, explained, similarity_tolerance=tolerance)
    error = find_largest_error(found.embeddings - exact.embeddings, target)
    assert error <= tolerance
    assert found.details["error"] <= tolerance / 2
    assert "error" not in exact.details


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_map_is_off_by_no_more_than_the_help_says(alike, distance, deep, samples):
    tolerance = 1e-2
    target, _, explained = samples()
    target = explained if alike else target
    apart = float((target.embedding - explained.embedding).norm())
    most = {
        "cosine": tolerance,
        "euclidean": min(tolerance / (apart or 1e-9), (2 * tolerance) ** 0.5),
    }
    maps = [
        Method(window_size=8, stride=4, distance=distance, **settings)(
            deep, target, explained
        ).saliency
        for settings in ({}, {"similarity_tolerance": tolerance})
    ]
    assert float((maps[0] - maps[1]).abs().max()) <= most[distance]


def test_tolerance_leaves_out_far_changes(deep, samples, monkeypatch):
    seen = []
    original = hidden.embed_hidden
    monkeypatch.setattr(
        hidden, "embed_hidden", lambda *given: seen.append(given[4:]) or original(*given)
    )
    target, _, explained = samples()
    rough = embeddings(deep, target, explained, similarity_tolerance=1e-2)
    assert seen[-1][0] is not None
    assert not torch.equal(rough.embeddings, embeddings(deep, target, explained).embeddings)


def test_later_target_that_the_probes_fail_starts_anew(deep, samples):
    first, second, explained = samples()
    rough = embeddings(deep, first, explained, similarity_tolerance=1e-2)
    [key] = explained.memo
    held = explained.memo[key].clone()
    count = len(rough.embeddings)
    # as if the probes had been far off in the direction of the second target alone
    direction = second.embedding - (second.embedding @ first.embedding) * first.embedding
    explained.memo[key] = torch.cat([held[:count], 0.5 * direction[None], held[-1:]])
    again = embeddings(deep, first, explained, similarity_tolerance=1e-2)
    assert torch.equal(again.embeddings, rough.embeddings)
    embeddings(deep, second, explained, similarity_tolerance=1e-2)
    assert find_largest_error(explained.memo[key][count:-1], second) <= 1e-2


def test_tolerance_of_a_network_without_a_program_is_exact(deep, samples, monkeypatch):
    monkeypatch.setattr(type(deep), "program", None)
    target, _, explained = samples()
    found = embeddings(deep, target, explained, similarity_tolerance=1e-2)
    assert found.details == {"incremental": 0.0, "error": 0.0}


def test_coarse_to_fine_takes_every_window_once_and_the_coarse_grid_first():
    windows = boxes(64, 8, 2, "valid")  # 29 x 29
    rows = torch.arange(len(windows))
    parts = split_coarse_to_fine(windows, rows, 4)
    assert torch.cat(parts).sort().values.tolist() == rows.tolist()
    first = windows[parts[0]]
    assert len(first) == 8 * 8
    assert sorted(set(first[:, 0].tolist())) == list(range(0, 64, 8))
    sizes = list(itertools.accumulate(len(part) for part in parts))
    assert sizes[-1] == 29 * 29
    assert 15 * 15 in sizes  # every second place is complete before the finest starts
    assert split_coarse_to_fine(windows, rows[:0], 4) == []


def test_budget_that_is_over_leaves_the_coarse_grid_and_covers_the_image(
    deep, samples, monkeypatch
):
    target, _, explained = samples()
    clock = itertools.count(step=10.0)
    monkeypatch.setattr(hidden.time, "monotonic", lambda: next(clock))
    method = Method(window_size=8, stride=2, grid="valid", budget=5.0)
    found = method(deep, target, explained)
    assert found.details["windows"] == 64.0
    assert found.details["windows_wanted"] == 29.0**2
    assert -1 <= found.details["convergence"] < 1
    assert found.evaluations == 64
    assert not explained.memo  # it is not the whole answer
    exact = Method(window_size=8, stride=8, grid="valid")(deep, target, explained)
    torch.testing.assert_close(found.saliency, exact.saliency, atol=1e-6, rtol=0)


def test_budget_that_suffices_gives_the_exact_map(deep, samples):
    target, _, explained = samples()
    exact = Method(window_size=8, stride=4)(deep, target, explained)
    _, _, fresh = samples()
    found = Method(window_size=8, stride=4, budget=1e4)(deep, target, fresh)
    torch.testing.assert_close(found.saliency, exact.saliency, atol=1e-6, rtol=0)
    assert found.details["windows"] == found.details["windows_wanted"]
    assert found.evaluations == exact.evaluations


def test_windows_that_hide_nothing_count_as_known(make_embedder):
    embedder = make_embedder()
    nothing = make_samples(embedder, [torch.zeros(3, 32, 32)])[0]
    found = Method(window_size=8, stride=4, budget=1e-9)(embedder, nothing, nothing)
    assert found.details["windows"] == found.details["windows_wanted"]
    assert found.details["convergence"] == 1.0


def test_correlation_is_pearsons():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 7, generator=generator)
    expected = float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])
    assert correlation(first, second) == pytest.approx(expected, abs=1e-6)
    constant = torch.ones(5, 7)
    assert correlation(first, constant) == 0.0
    assert correlation(constant, constant) == 1.0


@pytest.mark.parametrize("name", ["similarity_tolerance", "budget"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(SettingError, match=f"{name}: expected 0 or more"):
        Method(**{name: value})
