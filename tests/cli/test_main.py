"""The command line as a whole: what it imports, and what its failures look like."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from headrace.cli.main import COMMANDS

if TYPE_CHECKING:
    from tests.cli.conftest import Call, Process

HEAVY = ("alembic", "cryptography", "httpx", "jinja2", "rich", "sqlalchemy", "uvicorn", "yaml")
EVERY_COMMAND = "import json, sys; from headrace.cli.main import run; run(sys.argv[1:]); "


def test_help_imports_nothing_heavy_and_no_commands_module(folder: Path) -> None:
    code = EVERY_COMMAND + "print(json.dumps(list(sys.modules)), file=sys.stderr)"
    called = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(called.stderr))
    assert "completion" in called.stdout
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint(each.module for each in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_known_without_importing_are_the_commands_own(name: str) -> None:
    entry = COMMANDS[name]
    command = getattr(import_module(entry.module), entry.attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == entry.summary


@pytest.mark.parametrize(
    ("args", "error", "hint"),
    [
        (["kyes"], "no such command 'kyes'", "did you mean 'keys'?"),
        (["keys", "lst"], "no such command 'lst'", "did you mean 'list'?"),
        (["keys", "create"], "missing argument 'NAME'", "see `headrace keys create --help`"),
        (
            ["trace", "list", "--limit", "x"],
            "'x' is not a valid",
            "see `headrace trace list --help`",
        ),
    ],
)
def test_wrong_usage_says_what_and_exits_with_2(
    call: "Call", args: list[str], error: str, hint: str
) -> None:
    result = call(*args)
    first, second = result.err.splitlines()
    assert result.status == 2
    assert first.startswith("error: ")
    assert error in first
    assert second == f"hint: {hint}"


def test_a_failure_is_two_lines_and_exits_with_1(call: "Call", folder: Path) -> None:
    result = call("keys", "list")
    assert result.status == 1
    assert result.out == ""
    assert result.err.splitlines() == [
        f"error: there is no service state in {folder}/.headrace",
        "hint: call this in the service's folder, or start the service: `headrace up`",
    ]


@pytest.mark.parametrize(
    ("args", "status", "error"),
    [
        (
            ["keys", "list", "--json"],
            1,
            {
                "code": "not_found",
                "message": "there is no service state in {folder}/.headrace",
                "hint": "call this in the service's folder, or start the service: `headrace up`",
            },
        ),
        (
            ["trace", "list", "--limt", "3", "--json"],
            2,
            {
                "code": "invalid_usage",
                "message": "no such option '--limt'",
                "hint": "did you mean '--limit'?",
            },
        ),
        (
            ["models", "pull", "file:missing.gguf", "--json"],
            1,
            {
                "code": "weights_unavailable",
                "message": "file:missing.gguf: there is no file {folder}/missing.gguf",
                "hint": "check the path in `weights:`",
            },
        ),
    ],
)
def test_a_failure_is_json_where_json_was_asked_for(
    call: "Call", folder: Path, args: list[str], status: int, error: dict[str, str]
) -> None:
    result = call(*args)
    assert result.status == status
    assert result.out == ""
    expected = {name: text.format(folder=folder) for name, text in error.items()}
    assert json.loads(result.err) == {"error": expected}


def test_json_that_is_a_word_and_no_option_changes_nothing(call: "Call", folder: Path) -> None:
    (folder / "headrace.yaml").write_text("pipelin: []\n")
    assert call("chat", "--", "--json").err.startswith("error: headrace.yaml:1: ")


@pytest.mark.parametrize("args", [["--debug", "keys", "list"], ["keys", "list", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_is_written(call: "Call", args: list[str]) -> None:
    result = call(*args)
    assert "Traceback (most recent call last)" in result.err
    assert result.err.splitlines()[-2].startswith("error: ")


def test_looking_makes_no_home(call: "Call", folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # doctor would ask the index for the weights
    for args in (["keys", "list"], ["trace", "list"], ["models", "list"], ["doctor"]):
        call(*args)
    assert list(folder.iterdir()) == []


def test_a_damaged_database_is_an_error_with_a_hint(call: "Call", folder: Path) -> None:
    call("keys", "create", "one")
    (folder / ".headrace" / "state.db").write_bytes(b"not a database, but long enough" * 100)
    result = call("keys", "list")
    assert result.status == 1
    assert "file is not a database" in result.err
    assert "hint: " in result.err


def test_a_reader_that_has_seen_enough_gets_no_complaint(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    called = subprocess.run(
        [sys.executable, "-c", "from headrace.cli.main import main; main()", "schema", "policy"],
        cwd=folder,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert called.stderr == b""
    assert called.returncode == 1


def test_a_terminal_without_unicode_gets_a_question_mark_and_no_traceback(
    process: "Process",
) -> None:
    process("keys", "create", "测试")
    listed = process("keys", "list", environ={"PYTHONIOENCODING": "ascii"})
    assert listed.returncode == 0
    assert b"  ??  user" in listed.stdout
