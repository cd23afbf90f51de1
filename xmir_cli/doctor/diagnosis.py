"""All that the doctor finds, as one record."""

from xmir_cli.doctor.caches import find_caches
from xmir_cli.doctor.extras import find_extras
from xmir_cli.doctor.machine import find_devices, find_threads, find_versions
from xmir_cli.doctor.speed import measure_speed
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.doctor import DoctorRecord


def diagnose() -> Record:
    """The record `xmir.doctor/1` of this machine; takes less than five seconds."""
    return {
        "schema": DoctorRecord.NAME,
        "devices": find_devices(),
        "versions": find_versions(),
        "extras": find_extras(),
        "threads": find_threads(),
        "caches": find_caches(),
        "speed": measure_speed(),
    }
