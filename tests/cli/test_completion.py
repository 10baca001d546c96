"""Completion as the shells themselves do it."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.cli.shells import SHELLS, Typed

if TYPE_CHECKING:
    from tests.cli.conftest import Call, StoreTrace

Complete: TypeAlias = Callable[..., list[str]]


@pytest.fixture(params=list(SHELLS))
def complete(request: pytest.FixtureRequest, call: "Call", tmp_path: Path) -> Complete:
    """What a shell offers for a line that is being typed."""
    shell: str = request.param
    script = call("completion", shell).out
    assert f"_HEADRACE_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        assert "CI" not in os.environ, f"continuous integration must have {shell}: see .ci/run"
        pytest.skip(f"{shell} is not installed")
    own = tmp_path.parent / f"{tmp_path.name}-shell"
    program = own / "headrace"
    own.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom headrace.cli.main import main\nmain()\n", encoding="utf-8"
    )
    program.chmod(0o755)

    def complete(*words: str) -> list[str]:
        environ = {"PATH": f"{own}:{os.environ['PATH']}"}
        return SHELLS[shell](Typed(words, script, own, environ))

    return complete


def test_commands_are_completed(complete: Complete) -> None:
    assert complete("headrace", "tra") == ["trace", "train"]
    assert set(complete("headrace", "keys", "")) == {"create", "list", "revoke"}


def test_options_and_their_values_are_completed(complete: Complete) -> None:
    assert complete("headrace", "keys", "create", "--ro") == ["--role"]
    assert complete("headrace", "keys", "create", "--role", "ad") == ["admin"]


def test_what_this_folders_service_has_is_completed(
    call: "Call", complete: Complete, store_trace: "StoreTrace"
) -> None:
    key = json.loads(call("keys", "create", "ci", "--json").out)
    trace = store_trace()
    assert complete("headrace", "keys", "revoke", key["id"][:8]) == [key["id"]]
    assert complete("headrace", "trace", "show", "") == [trace.id[-12:]]
    assert complete("headrace", "models", "pull", "smol") == ["smollm2-135m"]


def test_where_there_is_no_service_nothing_is_completed_and_nothing_made(
    complete: Complete, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    assert complete("headrace", "keys", "revoke", "0") == []
    assert complete("headrace", "trace", "show", "0") == []
    assert sorted(folder.iterdir()) == before
