"""docs/cli.md says what the commands say."""

from pathlib import Path

import pytest

from headrace.cli.main import COMMANDS, headrace
from headrace.cli.reference import placed, reference

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def test_the_page_holds_the_commands_own_help() -> None:
    page = PAGE.read_text("utf-8")
    current = placed(page, reference(headrace, "headrace"))
    assert page == current, "run: python tools/write_cli_reference.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_above_the_reference(name: str) -> None:
    examples, _, _ = PAGE.read_text("utf-8").partition("## Every command")
    assert f"headrace {name}" in examples


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        placed("nothing here", "text")
