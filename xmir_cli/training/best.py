"""The weights of the best epoch so far, kept while training goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

_PREFIX = "best."


@dataclass
class Best:
    """Copies of a network's tensors by name; none before the first epoch."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def copy(self, network: nn.Module) -> None:
        """Take those that it has now."""
        self.tensors = {name: value.clone() for name, value in network.state_dict().items()}

    def put_back(self, network: nn.Module) -> None:
        """Give them to the network, which has others by now; nothing where there are none."""
        for name, value in network.state_dict().items():
            if name in self.tensors:
                value.copy_(self.tensors[name])

    def as_state(self) -> dict[str, Tensor]:
        """What of a run's state they are."""
        return {f"{_PREFIX}{name}": value for name, value in self.tensors.items()}

    def read_state(self, state: Mapping[str, Tensor]) -> None:
        """Take those of a run's state."""
        self.tensors = {
            name.removeprefix(_PREFIX): value
            for name, value in state.items()
            if name.startswith(_PREFIX)
        }
