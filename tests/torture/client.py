"""What `xmir` is where server.py runs: passes its call on, and ends as the command does."""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Have the command run by the server behind the socket that is named first."""
    folder, door = os.path.split(sys.argv[1])
    environment = dict(os.environ)
    call = {"arguments": sys.argv[2:], "folder": os.getcwd(), "environment": environment}  # noqa: PTH109
    request = json.dumps(call).encode()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(door)
        socket.send_fds(server, [len(request).to_bytes(4)], [0, 1, 2])
        server.sendall(request)
        for stream in (0, 1, 2):  # a reader that leaves is to be noticed
            os.close(stream)
        ended = server.recv(4)
    code = os.waitstatus_to_exitcode(int.from_bytes(ended)) if ended else 99
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
