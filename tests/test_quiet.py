import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes
from xmir_cli.quiet import libraries_silenced

PROGRAM = """
import os, sys
from xmir_cli.quiet import libraries_silenced
with libraries_silenced():
    os.write(2, b"a library's chatter\\n")
    print("ours", file=sys.stderr)
os.write(2, b"after\\n")
"""


def test_only_our_own_lines_arrive_and_only_while_it_lasts():
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stderr == b"ours\nafter\n"


def test_a_closed_descriptor_is_no_trouble():
    program = "from xmir_cli.quiet import libraries_silenced as quiet\nwith quiet(): print(1)"
    command = ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stdout == b"1\n"


def test_damaged_tiffs_say_nothing(capfd: pytest.CaptureFixture[str]):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF", compression="tiff_lzw")
    data = bytearray(buffer.getvalue())
    for place in range(300, len(data) - 500, 97):
        data[place] ^= 0x55
    with libraries_silenced(), pytest.raises(ItemError):
        decode_bytes(bytes(data))
    assert capfd.readouterr().err == ""
    os.write(2, b"seen again")
    assert capfd.readouterr().err == "seen again"
