"""`python -m xmir_cli.manual`: write the pages of this checkout anew."""

from pathlib import Path

from xmir_cli.manual import write

if __name__ == "__main__":
    write(Path(__file__).parents[2])
