"""Writes the help of every command into docs/cli.md: `python tools/write_cli_reference.py`."""

from pathlib import Path

from headrace.cli.main import headrace
from headrace.cli.reference import placed, reference

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

if __name__ == "__main__":
    PAGE.write_text(
        placed(PAGE.read_text("utf-8"), reference(headrace, "headrace")), encoding="utf-8"
    )
