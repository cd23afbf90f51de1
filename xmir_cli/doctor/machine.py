"""The devices of a machine, the versions of what runs on it, and its settings of threads."""

import os
import platform
import sys
from contextlib import suppress

import torch

from xmir_cli import __version__
from xmir_cli.doctor.extras import NEEDED, find_version
from xmir_cli.threads import count_threads
from xmir_cli.wire.records import Record

SETTINGS = (  # by which threads and devices are chosen
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)


def find_devices() -> Record:
    """What each device has, by the name that `device` takes; memory in bytes."""
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores
    found: Record = {"cpu": {"cores": cores, "usable": usable, "threads": count_threads()}}
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        name = f"cuda:{number}"
        told = torch.cuda.get_device_properties(number)
        device: Record = {"name": told.name, "memory": told.total_memory, "free": None}
        with suppress(RuntimeError):  # taken whole by another process
            device["free"] = torch.cuda.mem_get_info(number)[0]
        found[name] = device
    if torch.backends.mps.is_available():
        found["mps"] = {"memory": torch.mps.recommended_max_memory()}
    return found


def find_versions() -> Record:
    """Of xmir, Python, the system, each package that xmir always needs, and torch's CUDA."""
    versions: Record = {
        "xmir": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    packages = {name: find_version(name) for name in NEEDED}
    return versions | packages | {"cuda": torch.version.cuda}


def find_threads() -> Record:
    """How many threads torch takes, and the settings of the environment; null where not set."""
    threads: Record = {"torch": torch.get_num_threads(), "interop": torch.get_num_interop_threads()}
    return threads | {name: os.environ.get(name) for name in SETTINGS}
