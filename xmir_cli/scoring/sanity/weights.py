"""Test `model`: do the maps change when the network's weights become random?

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
"""

from collections.abc import Iterator, Mapping

from xmir_cli.metrics.sanity import Agreement, agreement
from xmir_cli.model.network import Network
from xmir_cli.model.randomize import randomize, stages
from xmir_cli.scoring.sanity.check import Check, summarize, tell_seeds
from xmir_cli.scoring.sanity.mapper import Mapper
from xmir_cli.wire.records import Record


def randomize_weights(check: Check, mode: str, donors: Mapping[int, Network]) -> Iterator[Record]:
    """A record a method and stage: the agreement of its maps with those of the trained network.

    Each of the donors, by their seeds fresh networks, is used in turn; the means are over pairs and
    donors. Only one network is held beside the trained one and the donors.
    """
    trained = check.mapper.embedder
    for position, stage in enumerate(stages(trained.network, mode)):
        found: dict[str, list[Agreement]] = {name: [] for name in check.methods}
        for donor in donors.values() if stage.blocks else ():
            mapper = Mapper(randomize(trained, donor, stage), check.inputs, check.mapper.center)
            for name, method in check.methods.items():
                after = mapper.map(method, check.inputs.pairs)
                found[name] += map(agreement, check.before[name], after)
            check.advance()
        for name in check.methods:
            same = [agreement(each, each) for each in check.before[name]]
            agreements = found[name] or same
            numbers = {
                "mode": mode,
                "stage": stage.name,
                "position": position,
                "randomized": [block.name for block in stage.blocks],
                **summarize(agreements),
                **tell_seeds(donors),
                "initialization": "constructor",
            }
            record = check.record(name, "model", numbers, judged=stage.name == "all")
            yield from check.by_query(record, agreements)
