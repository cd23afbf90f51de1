"""JPEG lossless whose differences are residues: some encoders count modulo 2^P, codecs do not.

T.81 adds a difference to its prediction modulo 2^16, whatever the precision P. Encoders of P bits
exist that write a difference of -11 for 245 at P = 8; a codec then leaves the range and clamps:
255 for 5. Decoded as if it were of 16 bits, nothing is clamped, and the residue is the value.

Source: ITU-T T.81, H.1.2.1 and F.1.4.4.1.
"""

from collections.abc import Callable

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import Codestream, scans_of

_BITS = 16
_HALVING = 5  # predictors from here on halve what they add: a residue does not pass through them


def decode_lossless(
    frame: bytes, stream: Codestream, decode: Callable[[bytes], np.ndarray]
) -> np.ndarray:
    """Its samples, unsigned [H, W] or [H, W, 3]; `decode` is a codec that gives 16 bits.

    Raises ItemError where residues cannot be told from values.
    """
    bits = stream.precision
    if bits > _BITS:
        raise ItemError(Cause.NO_DECODER, f"JPEG Lossless of {bits} bits")
    place = stream.place + 4  # of the precision in the frame header
    wide = decode(frame[:place] + bytes([_BITS]) + frame[place + 1 :])
    # the first prediction is half the range, of which all others are made
    shifted = wide - np.uint16((1 << (_BITS - 1)) - (1 << (bits - 1)))
    if int(shifted.max()) >> bits and _predictor(frame) >= _HALVING:
        raise ItemError(Cause.NO_DECODER, "JPEG Lossless whose differences are residues")
    values: np.ndarray = shifted & np.uint16((1 << bits) - 1)
    return values.astype(np.uint8) if bits <= 8 else values


def _predictor(frame: bytes) -> int:
    """The highest number of a predictor that a scan uses."""
    return max((_of_scan(frame[place:]) for place in scans_of(frame)), default=0)


def _of_scan(header: bytes) -> int:
    return header[3 + 2 * header[2]] if len(header) > 3 + 2 * header[2] else 0
