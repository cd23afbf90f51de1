"""What numbers and controls are called; imports nothing heavy."""

from collections.abc import Iterable, Mapping, Sequence

from xmir_cli.errors import SettingError
from xmir_cli.guesses import hint
from xmir_cli.wire.records import Record

AGREEMENTS = ("spearman", "spearman_abs", "ssim")  # of the maps of two networks
CHANGES = ("change", "change_max")  # of maps under noise
THRESHOLDS = {  # of the verdicts by test; on which ground: examples/trust
    "model": 0.5,
    "query": 0.9,
    "repeat": 0.5,
    "reproduce": 0.5,
    "noise": 0.5,
}
TESTS = ("model", "query", "repeat", "noise")  # as they are asked for
RANDOM_MODEL = "random-model"
SHUFFLED, OTHER_PAIR, BLURRED = "shuffled", "other-pair", "blurred"  # made of maps
BLIND = ("random", "center", "edges", "uniform", "rollout")  # methods that do not see the query
CONTROLS = (*BLIND, SHUFFLED, OTHER_PAIR, BLURRED, RANDOM_MODEL)


def parse_tests(names: str) -> tuple[str, ...]:
    """The tests of a list such as `model,query`; raises SettingError for an unknown one."""
    return parse_listed("test", names, TESTS)


def parse_listed(setting: str, names: str, known: Sequence[str]) -> tuple[str, ...]:
    """The names of a list, each once; raises SettingError for one that is not known."""
    found = tuple(dict.fromkeys(name for name in names.split(",") if name))
    for name in found:
        if name not in known:
            raise SettingError(
                setting, f"expected some of {', '.join(known)}", hint(name, known), name
            )
    return found


def name_variant(record: Record) -> list[Record]:
    """A summary for eyes: its method is called as what tells it apart from others of its name."""
    variant = record.get("variant")
    return [{**record, "method": f"{record['method']}, {variant}"} if variant else record]


def name_apart(settings: Iterable[Mapping[str, object]]) -> list[str]:
    """Of each what is not the same in all, such as `window_size 32`; "" where all are equal."""
    told = list(settings)
    names = dict.fromkeys(name for each in told for name in each)
    apart = [name for name in names if len({repr(each.get(name)) for each in told}) > 1]
    return [", ".join(f"{name} {each.get(name, '-')}" for name in apart) for each in told]
