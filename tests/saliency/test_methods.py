"""Laws that every method keeps; a new file in methods/ meets them without a line of test."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xmir_cli.errors import SettingError
from xmir_cli.labels import LabelSets
from xmir_cli.saliency import catalogue, load_method, load_methods, method_names
from xmir_cli.saliency.sample import LabelledGallery, make_samples

SMALL = {"occlusion": {"window_size": "8", "stride": "4"}, "rise": {"masks": "40"}}
CONTROLS = {"random", "center", "edges", "uniform"}
# a method of transformers has networks of its own in test_rollout.py
ALL = [name for name in method_names() if not catalogue()[name].need_attention]
SAMPLED = {"rise"}  # random masks leave noise everywhere; its own test finds the patch
FAITHFUL = sorted(set(ALL) - CONTROLS - SAMPLED)


def small(name):
    return load_method(name, SMALL.get(name, {}))


def samples(embedder, inputs):
    """Samples found in a gallery that holds them and what they are told apart from."""
    found = make_samples(embedder, inputs)
    own = np.stack([sample.embedding.numpy() for sample in found])
    others = np.eye(own.shape[1], dtype=np.float32)[:3]
    labels = LabelSets([*["a"] * (len(own) + 1), "b", "b"])
    gallery = LabelledGallery(np.concatenate([own, others]), labels)
    return [replace(sample, gallery=gallery) for sample in found]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("itself", [False, True])
def test_map_is_a_finite_float32_square_of_the_input_size(name, itself, embedder, make_inputs):
    pair = samples(embedder, make_inputs(2))
    explanation = small(name)(embedder, pair[1] if itself else pair[0], pair[1])
    assert explanation.saliency.shape == (32, 32)
    assert explanation.saliency.dtype == torch.float32
    assert explanation.saliency.device.type == "cpu"
    assert bool(explanation.saliency.isfinite().all())
    assert explanation.evaluations >= 0
    assert all(isinstance(value, float) for value in explanation.details.values())


@pytest.mark.parametrize("name", ALL)
def test_map_is_the_same_every_time(name, embedder, make_inputs):
    first = small(name)(embedder, *samples(embedder, make_inputs(2)))
    torch.manual_seed(99)
    again = small(name)(embedder, *samples(embedder, make_inputs(2)))
    assert torch.equal(first.saliency, again.saliency)
    assert (first.evaluations, first.details) == (again.evaluations, again.details)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("head", [None, 4])
def test_inputs_weights_and_modes_stay_as_they_were(name, head, make_embedder, make_inputs):
    embedder = make_embedder(head=head)
    target, explained = samples(embedder, make_inputs(2))
    held = [target.input, target.features, explained.input, explained.features, explained.raw]
    before = [tensor.clone() for tensor in held]
    weights = {key: value.clone() for key, value in embedder.network.state_dict().items()}
    state = torch.random.get_rng_state()
    small(name)(embedder, target, explained)
    assert all(torch.equal(*both) for both in zip(held, before, strict=True))
    after = embedder.network.state_dict()
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    assert all(parameter.grad is None for parameter in embedder.network.parameters())
    assert torch.is_grad_enabled()
    assert not embedder.network.training
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", ALL)
def test_black_image_without_features_gets_a_finite_map(name, make_embedder):
    embedder = make_embedder(spotlight=True)
    nothing = samples(embedder, [torch.zeros(3, 32, 32)])[0]
    assert float(nothing.embedding.norm()) == 0.0
    assert bool(small(name)(embedder, nothing, nothing).saliency.isfinite().all())


@pytest.mark.parametrize("name", FAITHFUL)
def test_map_finds_the_only_patch_that_the_network_sees(name, make_embedder, make_inputs, spot):
    embedder = make_embedder(spotlight=True)
    target, explained = samples(embedder, make_inputs(2))
    saliency = small(name)(embedder, target, explained).saliency.abs()
    near = torch.zeros(32, 32, dtype=torch.bool)
    near[max(0, spot[0].start - 8) : spot[0].stop + 8, spot[1].start - 8 : spot[1].stop + 8] = True
    assert float(saliency[~near].sum()) == 0.0
    row, column = divmod(int(saliency.argmax()), 32)
    assert spot[0].start - 2 <= row < spot[0].stop + 2
    assert spot[1].start - 2 <= column < spot[1].stop + 2


def test_catalogue_knows_every_method_with_its_source_of_help():
    assert list(catalogue()) == method_names()
    for entry in catalogue().values():
        assert entry.summary.endswith(".")
        assert all(setting.help for setting in entry.settings)


@pytest.mark.parametrize("name", ALL)
def test_catalogue_tells_the_defaults_that_the_class_has(name):
    method = load_method(name, {})
    settings = {setting.name: setting.default for setting in catalogue()[name].settings}
    assert vars(method) == settings


def test_settings_arrive_in_their_own_types():
    method = load_method(
        "occlusion", {"window_size": "9", "fill": "#102030", "clip_windows": "false"}
    )
    assert (method.window_size, method.fill, method.clip_windows) == (9, "#102030", False)
    assert load_method("attention", {"abs": "true"}).abs is True
    assert load_method("center", {"sigma": "0.5"}).sigma == 0.5


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("occlusion", {"window_size": "wide"}, "window_size: expected a whole number, found wide"),
        (
            "rise",
            {"seed": "9" * 20},
            f"seed: expected a whole number below {2**63}, found {'9' * 20}",
        ),
        ("occlusion", {"window_size": "0"}, "window_size: expected 1 pixel or more, found 0"),
        ("occlusion", {"stride": "-1"}, "stride: expected 1 pixel or more, found -1"),
        ("occlusion", {"grid": "hex"}, "grid: expected paper or centered or valid, found hex"),
        (
            "occlusion",
            {"fill": "red"},
            "fill: expected gray, black, mean, blur or #RRGGBB, found red",
        ),
        ("attention", {"abs": "maybe"}, "abs: expected true or false, found maybe"),
        ("center", {"sigma": "x"}, "sigma: expected a number, found x"),
        ("center", {"sigma": "nan"}, "sigma: expected a number above 0, found nan"),
        ("center", {"window_size": "3"}, "window_size: not a setting of center"),
        ("oclusion", {}, "method: oclusion: no such saliency method"),
    ],
)
def test_bad_setting_says_what_is_allowed(name, settings, message):
    with pytest.raises(SettingError) as caught:
        load_method(name, settings)
    assert str(caught.value) == message


def test_several_methods_take_the_settings_that_each_has():
    methods = load_methods("occlusion,random,occlusion", {"window_size": "9", "seed": "4"})
    assert list(methods) == ["occlusion", "random"]
    assert methods["occlusion"].window_size == 9
    assert methods["random"].seed == 4


def test_setting_that_no_chosen_method_has_is_refused():
    with pytest.raises(SettingError) as caught:
        load_methods("activation,attention", {"window_size": "9"})
    assert str(caught.value) == "window_size: not a setting of activation, attention"
    assert caught.value.hint == "It is one of occlusion."


def test_no_method_is_refused():
    with pytest.raises(SettingError, match="method: no method named"):
        load_methods(",", {})


def test_the_name_of_earlier_versions_is_refused_with_todays():
    for names in ("occlusion", "activation,occlusion"):
        with pytest.raises(SettingError) as caught:
            load_methods(names, {"clip": "none"})
        assert str(caught.value) == "clip: of occlusion it is `clip_windows` now"
    assert load_methods("activation,occlusion", {"clip": "pair"})["activation"].clip == "pair"
