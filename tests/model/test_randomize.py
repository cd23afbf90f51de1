import pytest
import torch

from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, load_network, resolve_model
from xmir_cli.model.randomize import list_blocks, load_fresh, randomize, stages
from xmir_cli.wire.model import ModelSpec, Preprocessing


@pytest.fixture
def trained(tiny_arch):
    return load_embedder(
        resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0", head=8)), "cpu"
    )


def changed(first, second):
    """Names of weights that differ."""
    before, after = first.state_dict(), second.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_every_tensor_belongs_to_exactly_one_block(trained):
    names = [name for block in list_blocks(trained.network) for name in block.tensors]
    assert sorted(names) == sorted(trained.network.state_dict())
    assert [block.name for block in list_blocks(trained.network)] == [
        "features.0+features.1",
        "features.3+features.4",
        "head",
    ]


BLOCKS = {
    "densenet121": "conv0+norm0 denseblock1 transition1 denseblock2 transition2 denseblock3 "
    "transition3 denseblock4 norm5 head",
    "resnet18": "conv1+bn1 layer1 layer2 layer3 layer4 head",
    "timm:tf_efficientnet_lite0": "conv_stem+bn1 blocks.0 blocks.1 blocks.2 blocks.3 blocks.4 "
    "blocks.5 blocks.6 conv_head+bn2 head",
}


@pytest.mark.parametrize("architecture", BLOCKS)
def test_blocks_are_the_stages_of_the_network(architecture):
    network = load_network(ModelSpec(architecture, "random:0", 4, Preprocessing()))
    assert " ".join(block.name for block in list_blocks(network)) == BLOCKS[architecture]


def test_a_network_without_head_has_no_head_block(tiny_arch):
    spec = resolve_model(ModelChoice(architecture=tiny_arch, weights="random:0"))
    assert [block.name for block in list_blocks(load_network(spec))][-1] == "features.3+features.4"


def test_cascading_goes_from_the_output_to_the_input(trained):
    found = stages(trained.network, "cascading")
    assert [(stage.name, len(stage.blocks)) for stage in found] == [
        ("none", 0),
        ("head", 1),
        ("features.3+features.4", 2),
        ("all", 3),
    ]


def test_full_is_none_and_all(trained):
    assert [stage.name for stage in stages(trained.network, "full")] == ["none", "all"]


def test_an_independent_stage_changes_its_block_alone_and_the_trained_network_never(trained):
    donor = load_fresh(trained.spec, 5)
    before = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    for stage in stages(trained.network, "independent")[1:-1]:
        (block,) = stage.blocks
        made = randomize(trained, donor, stage)
        differing = changed(trained.network, made.network)
        assert differing
        assert differing <= set(block.tensors)
    after = trained.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_stage_is_the_constructors_network(trained):
    donor = load_fresh(trained.spec, 5)
    made = randomize(trained, donor, stages(trained.network, "cascading")[-1])
    assert not changed(donor, made.network)
    again = load_embedder(
        resolve_model(
            ModelChoice(architecture=trained.spec.architecture, weights="random:5", head=8)
        ),
        "cpu",
    )
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(made.embed(image), again.embed(image))


def test_fresh_batch_norm_forgets_its_statistics(trained):
    state = load_fresh(trained.spec, 1).state_dict()
    assert torch.equal(state["features.1.running_var"], torch.ones(8))
    assert torch.equal(state["features.1.running_mean"], torch.zeros(8))
