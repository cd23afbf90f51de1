"""`xmir.doctor/1`: what of a machine matters to xmir."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import OBJECT, key


@dataclass(frozen=True, eq=False, kw_only=True)
class DoctorRecord:
    """What xmir finds on the machine, as 'xmir info' without files tells it; one record."""

    NAME: ClassVar = "xmir.doctor/1"
    WRITTEN_BY: ClassVar = "info"

    record: Record
    devices: dict[str, object] | None = key(
        OBJECT,
        "of cpu its cores, those that xmir may use and the threads it takes; of each CUDA device "
        "its name, and its memory in all and free, in bytes; of mps its memory. A device that is "
        "not there is not named",
    )
    versions: dict[str, object] | None = key(
        OBJECT,
        "of xmir, Python, the system and the packages that xmir needs; null: missing. cuda is the "
        "version that torch was built with; null: built without",
    )
    extras: dict[str, object] | None = key(
        OBJECT,
        "of each extra its state (installed, missing or too old), its packages with their "
        "versions, and install, the command that brings what lacks",
    )
    threads: dict[str, object] | None = key(
        OBJECT,
        "how many torch takes inside an operation, and between them; and the environment's "
        "settings, null where not set",
    )
    caches: dict[str, object] | None = key(
        OBJECT,
        "of each folder its path, ~ being the home folder, whether it exists, its bytes, and "
        "whether files could be made there",
    )
    speed: dict[str, object] | None = key(
        OBJECT,
        "the network that was timed, its device, and how many random images a second it embedded, "
        "16 at once; failed says why there is no number",
    )
