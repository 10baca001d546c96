"""`headrace chat` with a real service and a real model, at a real prompt."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.cli.pseudo_terminal import CTRL_C, CTRL_D, PseudoTerminal
from tests.running import ServiceProcess, wait_for

if TYPE_CHECKING:
    from tests.cli.conftest import Process

pytestmark = [pytest.mark.service, pytest.mark.model]

Ask: TypeAlias = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def ask(process: "Process", service: ServiceProcess) -> Ask:
    """Ask the running service, as somebody who may read its home."""
    environ = {"HEADRACE_HOME": str(service.home)}
    return lambda *args: process("chat", "--max-tokens", "8", *args, environ=environ)


@contextmanager
def at_the_prompt(
    service: ServiceProcess, folder: Path, *, max_tokens: int
) -> Iterator[PseudoTerminal]:
    """A conversation with the running service, at its first prompt."""
    environ = {"HEADRACE_HOME": str(service.home)}
    with PseudoTerminal(["chat", "--max-tokens", str(max_tokens)], folder, environ) as prompt:
        prompt.wait_for("\n> ")
        yield prompt


def traces(service: ServiceProcess, **filters: str) -> list[dict[str, object]]:
    """The newest traces of the service."""
    options = [each for name, value in filters.items() for each in (f"--{name}", value)]
    listed = service.run("trace", "list", "--json", *options).stdout
    found: list[dict[str, object]] = json.loads(listed)
    return found


def test_a_question_is_answered_by_the_service_that_runs_here(
    ask: Ask, service: ServiceProcess
) -> None:
    asked = ask("What is the capital of France?", "--json")
    answer = json.loads(asked.stdout)
    assert asked.returncode == 0
    assert answer["answer"]
    assert answer["usage"]["completion_tokens"] <= 8
    wait_for(lambda: answer["trace_id"] in {each["id"] for each in traces(service)})


def test_an_unknown_model_is_refused_with_what_there_is(ask: Ask) -> None:
    asked = ask("hi", "--model", "smollm2")
    assert asked.returncode == 1
    assert asked.stdout == b""
    assert b"smollm2-135m" in asked.stderr


def test_a_conversation_at_the_prompt(service: ServiceProcess, folder: Path) -> None:
    with at_the_prompt(service, folder, max_tokens=12) as prompt:
        prompt.type("/trace\n")
        prompt.wait_for("no question has been answered yet\n> ")
        prompt.type("Say yes.\n")
        prompt.wait_for("\n> ")
        prompt.type("/trace\n")
        assert "first token" in prompt.wait_for("\n> ")
        prompt.type("Say \\\nno.\n")
        prompt.wait_for("no.\n")
        prompt.wait_for("\n> ")
        prompt.type("/new\n")
        prompt.wait_for("a new conversation\n> ")
        prompt.type('"""\n第一行\n第二行\n"""\n')
        prompt.wait_for('. """\n')
        prompt.wait_for("\n> ")
        prompt.type(CTRL_D)
        assert prompt.wait_end() == 0
    shown = json.loads(service.run("trace", "show", "--content", "--json").stdout)
    assert shown["input"][-1]["content"] == "第一行\n第二行"
    third, second, first = traces(service, limit="3")
    assert first["conversation"] == second["conversation"]
    assert third["conversation"] not in (None, first["conversation"])


def test_ctrl_c_stops_the_answer_and_not_the_program(service: ServiceProcess, folder: Path) -> None:
    with at_the_prompt(service, folder, max_tokens=2000) as prompt:
        prompt.type("Write a very long story about a river, with many chapters.\n")
        prompt.wait_for("chapters.\n")
        prompt.wait_for(" ")  # the first words of the answer
        prompt.type(CTRL_C)
        prompt.wait_for("(stopped)\n> ")
        wait_for(lambda: traces(service, limit="1")[0]["status"] == "cancelled")
        prompt.type("typed by mistake" + CTRL_C)
        prompt.wait_for("(Ctrl-D ends)\n> ")
        prompt.type("/help\n")
        assert "Ctrl-C stops an answer" in prompt.wait_for("\n> ")
        prompt.type(CTRL_D)
        assert prompt.wait_end() == 0


def test_what_is_typed_is_kept_only_when_asked_for(folder: Path, service: ServiceProcess) -> None:
    environ = {"HEADRACE_HOME": str(service.home), "HOME": str(folder)}
    kept = folder / "kept"
    for args in (["chat"], ["chat", "--history", str(kept)]):
        with PseudoTerminal(args, folder, environ) as prompt:
            prompt.wait_for("\n> ")
            prompt.type("/help\n")
            prompt.wait_for("\n> ")
            prompt.type(CTRL_D)
            assert prompt.wait_end() == 0
        assert list(folder.iterdir()) == ([] if args == ["chat"] else [kept])
    assert kept.read_text() == "/help\n"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_without_a_service_the_answer_is_made_in_this_process(
    process: "Process", folder: Path, model_home: Path
) -> None:
    environ = {"HEADRACE_HOME": str(model_home)}
    asked = process("chat", "Say yes.", "--max-tokens", "4", "--json", environ=environ)
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["finish_reason"] in ("length", "stop")
    shown = json.loads(process("trace", "show", "--json", environ=environ).stdout)
    assert shown["id"] == answer["trace_id"]
    assert shown["status"] == "ok"
    refused = process("chat", "hi", "--key", "hr-wrong", environ=environ)
    assert refused.returncode == 1
    assert b"the API key is not valid" in refused.stderr


def test_a_service_that_cannot_be_loaded_says_why(process: "Process", folder: Path) -> None:
    (folder / "headrace.yaml").write_text("models: {}\npipeline: [generate]\n")
    asked = process("chat", "hi")
    assert asked.returncode == 1
    assert asked.stderr.startswith(b"error: headrace.yaml:1: models: ")


def test_ctrl_c_in_this_process_stops_the_answer_and_the_next_one_works(
    folder: Path, model_home: Path
) -> None:
    environ = {"HEADRACE_HOME": str(model_home)}
    with PseudoTerminal(["chat", "--max-tokens", "1000"], folder, environ) as prompt:
        prompt.wait_for("in this process; /help for help, Ctrl-D ends\n> ")
        prompt.type("Write a very long story about a river, with many chapters.\n")
        prompt.wait_for("chapters.\n")
        prompt.wait_for(" ")
        prompt.type(CTRL_C)
        prompt.wait_for("(stopped)\n> ")
        prompt.type("Say yes in one word.\n")
        prompt.wait_for("word.\n")
        prompt.wait_for("\n> ")
        prompt.type("/trace\n")
        assert "first token" in prompt.wait_for("\n> ")
        prompt.type(CTRL_D)
        assert prompt.wait_end() == 0
