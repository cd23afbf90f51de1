"""What is carried from a DICOM file's tags into the columns of its row: short words of a list."""

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from xmir_cli.wire.columns import PATIENT_HASH

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KEY = "XMIR_PATIENT_KEY"
# The values are listed, too: a tag of free text might hold a name.
# fmt: off
_MODALITIES = {
    "AR", "BI", "BMUS", "CR", "CT", "DG", "DX", "ECG", "ES", "GM", "HD", "IO", "IVOCT", "IVUS",
    "KER", "LEN", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPV", "OT", "PT",
    "PX", "RF", "RG", "RTDOSE", "RTIMAGE", "SC", "SEG", "SM", "SMR", "TG", "US", "VA", "XA", "XC",
}
# fmt: on
# fmt: off
_VIEWS = {
    "AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "LAT",
    "LATERAL", "OBL", "OBLIQUE", "CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "XCCL", "XCCM",
    "XCC", "CV", "AT", "ISO",
}
# fmt: on


def patient_key() -> bytes | None:
    """The secret that makes a PatientID a pseudonym; without it no patient column is made."""
    return os.fsencode(os.environ.get(KEY, "")) or None


def key_mark() -> str:
    """What tells two keys apart without telling the key; empty without one."""
    key = patient_key()
    return "" if key is None else _hash(key, "xmir")


def columns_of(dataset: "Dataset") -> dict[str, str]:
    """The columns of `records.TAG_COLUMNS` that the file tells, none of them empty."""
    key = patient_key()
    patient = _text(dataset, "PatientID")
    found = {
        "modality": _listed(dataset, "Modality", _MODALITIES),
        "view_position": _listed(dataset, "ViewPosition", _VIEWS),
        "burned_in_annotation": _listed(dataset, "BurnedInAnnotation", {"YES", "NO"}).lower(),
        "patient": _hash(key, patient) if key and patient else "",
    }
    return {name: value for name, value in found.items() if value}


def _hash(key: bytes, text: str) -> str:
    digest = hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return f"{PATIENT_HASH}{digest.hexdigest()[:16]}"


def _listed(dataset: "Dataset", keyword: str, words: set[str]) -> str:
    value = _text(dataset, keyword).upper()
    return value if value in words else ""


def _text(dataset: "Dataset", keyword: str) -> str:
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 # a value that cannot be parsed is no value
        return ""
    return value.strip() if isinstance(value, str) else ""
