"""Completion as the shell itself does it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Call, StoreTrace

Complete: TypeAlias = Callable[..., list[str]]

SCRIPT = """
{source}
COMP_WORDS=({words}); COMP_CWORD={at}
_headrace_completion headrace
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(call: "Call", tmp_path: Path) -> Complete:
    """What bash offers for a line that is being typed."""
    bash = shutil.which("bash")
    assert bash is not None
    program = tmp_path / "bin" / "headrace"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom headrace.cli.main import main\nmain()\n", encoding="utf-8"
    )
    program.chmod(0o755)
    source = call("completion", "bash").out

    def complete(*words: str) -> list[str]:
        script = SCRIPT.format(source=source, words=" ".join(words), at=len(words) - 1)
        environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            [bash, "--norc", "-c", script], env=environ, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_bash_completes_commands(complete: Complete) -> None:
    assert complete("headrace", "tr") == ["trace"]
    assert set(complete("headrace", "keys", "''")) == {"create", "list", "revoke"}


def test_bash_completes_options_and_their_values(complete: Complete) -> None:
    assert complete("headrace", "keys", "create", "--ro") == ["--role"]
    assert complete("headrace", "keys", "create", "--role", "ad") == ["admin"]


def test_bash_completes_what_this_folders_service_has(
    call: "Call", complete: Complete, store_trace: "StoreTrace"
) -> None:
    key = json.loads(call("keys", "create", "ci", "--json").out)
    trace = store_trace()
    assert complete("headrace", "keys", "revoke", key["id"][:8]) == [key["id"]]
    assert complete("headrace", "trace", "show", "''") == [trace.id[-12:]]
    assert complete("headrace", "models", "pull", "smol") == ["smollm2-135m"]


def test_where_there_is_no_service_nothing_is_completed_and_nothing_made(
    complete: Complete, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    assert complete("headrace", "keys", "revoke", "0") == []
    assert complete("headrace", "trace", "show", "0") == []
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(call: "Call", shell: str) -> None:
    result = call("completion", shell)
    assert result.status == 0
    assert f"_HEADRACE_COMPLETE={shell}_complete" in result.out
