"""The command line for tests of shell scripts: `xmir` that need not import everything each time.

    python tests/torture/server.py FOLDER        until its standard input ends

FOLDER/bin/xmir is then a small program that has the command run here, in a forked process with the
arguments, environment, current folder and standard streams of that program, which ends as the
command does. Limits, closed streams and ignored signals are not passed on. FOLDER/bin/python is
this Python, FOLDER/bin/torchrun its torchrun.
"""

import json
import os
import select
import shlex
import signal
import socket
import sys
from pathlib import Path

from forks import become, warm

CLIENT = Path(__file__).parent / "client.py"
DOOR = "door"  # a socket in the folder


def serve(caller: socket.socket) -> None:
    """Run what one caller asks for, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(caller, 4, 3)
    with caller.makefile("rb") as file:
        asked = json.loads(file.read(int.from_bytes(size)))
    process = os.fork()
    if not process:
        caller.close()
        os.environ.clear()
        os.environ.update(asked["environment"])
        become(asked["arguments"], asked["folder"], streams)
    for stream in streams:
        os.close(stream)
    caller.sendall(os.waitpid(process, 0)[1].to_bytes(4))


def write_program(path: Path, *words: object) -> None:
    """A program that becomes the one that the words call, in one step."""
    new = path.with_suffix(".new")
    new.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    new.chmod(0o755)
    new.rename(path)


def main() -> None:
    """Serve until standard input ends."""
    folder = Path(sys.argv[1]).resolve()
    warm()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(DOOR)  # a whole path may be too long for a socket
        door.listen(64)
        bin_ = folder / "bin"
        bin_.mkdir()
        write_program(bin_ / "python", sys.executable)
        write_program(bin_ / "torchrun", sys.executable, "-m", "torch.distributed.run")
        write_program(bin_ / "xmir", sys.executable, "-I", "-S", CLIENT, folder / DOOR)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the servants
        while sys.stdin.fileno() not in select.select([door, sys.stdin.fileno()], [], [])[0]:
            caller, _ = door.accept()
            if not os.fork():
                door.close()
                serve(caller)
                os._exit(0)
            caller.close()


if __name__ == "__main__":
    main()
