"""`headrace chat` against whatever a service may send, over a real connection."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Call, Result

Ask: TypeAlias = Callable[..., "Result"]


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def piece(text: str, finish_reason: str | None = None) -> bytes:
    return event(
        model="small",
        choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}],
    )


DONE = b"data: [DONE]\n\n"


@dataclass
class Service:
    """What it is to send, and what it was sent."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    path: str = ""
    authorization: str = ""
    request: dict[str, object] = field(default_factory=dict)


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that sends what a test tells it to."""
    service = Service()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            service.request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            service.path, service.authorization = self.path, self.headers["authorization"]
            self.send_response(service.status)
            self.send_header("x-headrace-trace", "01a2")
            self.end_headers()
            self.wfile.write(service.body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield service
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(call: "Call", service: Service) -> Ask:
    """Ask the service, with a key."""
    return lambda *args: call("chat", "hi", "--url", service.url, "--key", "hr-test", *args)


def test_an_answer_is_printed_and_ends_its_line(ask: Ask, service: Service) -> None:
    service.body = piece("你") + piece("好") + piece("", "stop") + DONE
    result = ask("--model", "small", "--conversation", "c", "--max-tokens", "9")
    assert (result.status, result.out) == (0, "你好\n")
    assert service.path == "/v1/chat/completions"
    assert service.authorization == "Bearer hr-test"
    assert service.request["messages"] == [{"role": "user", "content": "hi"}]
    assert service.request["model"] == "small"
    assert service.request["conversation"] == "c"
    assert service.request["max_completion_tokens"] == 9
    assert "template" not in service.request


def test_an_address_may_end_in_v1_as_sdks_want_it(ask: Ask, call: "Call", service: Service) -> None:
    service.body = piece("x") + DONE
    assert call("chat", "hi", "--url", f"{service.url}/v1/", "--key", "k").out == "x\n"
    assert service.path == "/v1/chat/completions"


def test_json_has_answer_usage_and_trace(ask: Ask, service: Service) -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    service.body = piece("a\n") + piece("b", "length") + event(choices=[], usage=usage) + DONE
    assert json.loads(ask("--json").out) == {
        "answer": "a\nb",
        "finish_reason": "length",
        "model": "small",
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "cached_tokens": 3,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
        },
        "trace_id": "01a2",
        "release": "",
        "conversation": None,
    }


def test_what_a_model_writes_cannot_drive_the_terminal(ask: Ask, service: Service) -> None:
    service.body = piece("\x1b") + piece("[2Jgone\ttab") + DONE
    assert ask().out == "�[2Jgone\ttab\n"


def test_an_error_before_the_answer_is_the_services_own(ask: Ask, service: Service) -> None:
    service.status = 404
    service.body = b'{"error": {"message": "the model \'x\' does not exist", "code": "y"}}'
    result = ask()
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: the model 'x' does not exist\n"


@pytest.mark.parametrize(
    ("given", "code"), [('"model_not_found"', "model_not_found"), ("null", "service_refused")]
)
def test_json_has_the_services_own_code(ask: Ask, service: Service, given: str, code: str) -> None:
    body = f'{{"error": {{"message": "no", "code": {given}}}}}'.encode()
    service.status, service.body = 404, body
    assert json.loads(ask("--json").err)["error"]["code"] == code
    service.status, service.body = 200, piece("half") + b"data: " + body + b"\n\n"
    assert json.loads(ask("--json").err)["error"]["code"] == code


def test_a_key_that_is_not_valid_says_how_to_give_one(ask: Ask, service: Service) -> None:
    service.status = 401
    service.body = b'{"error": {"message": "the API key is not valid (any more)"}}'
    assert "--key or HEADRACE_API_KEY" in ask().err


def test_an_error_in_mid_answer_keeps_what_came(ask: Ask, service: Service) -> None:
    service.body = piece("half") + event(error={"message": "the model broke off"})
    result = ask()
    assert (result.status, result.out) == (1, "half\n")
    assert result.err == "error: the model broke off\n"


def test_an_answer_that_just_ends_has_broken_off(ask: Ask, service: Service) -> None:
    service.body = piece("half")
    result = ask()
    assert (result.status, result.out) == (1, "half\n")
    assert result.err.startswith("error: the answer broke off")


@pytest.mark.parametrize("body", [b"<html>not found</html>", b'{"detail": "no"}', b""])
def test_another_kind_of_server_is_recognised(ask: Ask, service: Service, body: bytes) -> None:
    service.status, service.body = 404, body
    result = ask()
    assert result.status == 1
    assert result.err.splitlines()[1] == "hint: is this the address of a Headrace service?"


def test_nonsense_in_place_of_events_is_the_services_fault_not_ours(
    ask: Ask, service: Service
) -> None:
    service.body = b"data: {nonsense\n\n"
    result = ask()
    assert result.status == 1
    assert "no piece of an answer" in result.err


def test_nobody_at_the_address_is_an_error(call: "Call") -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    result = call("chat", "hi", "--url", f"http://127.0.0.1:{port}", "--key", "k")
    assert result.status == 1
    assert "headrace doctor" in result.err


def test_this_homes_admin_key_is_never_sent_to_another_address(
    call: "Call", folder: Path, service: Service
) -> None:
    (folder / ".headrace").mkdir()
    (folder / ".headrace" / "admin.key").write_text("hr-secret\n")
    result = call("chat", "hi", "--url", service.url)
    assert result.status == 1
    assert service.path == ""


@pytest.mark.parametrize("args", [("",), ("  ",), ("--json", "\n")])
def test_an_empty_question_is_wrong_usage(call: "Call", args: tuple[str, ...]) -> None:
    assert call("chat", *args).status == 2
