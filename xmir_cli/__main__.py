"""Lets `python -m xmir_cli` stand for `xmir`."""

from xmir_cli.main import run

if __name__ == "__main__":
    run()
