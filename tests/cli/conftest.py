"""A service's folder with a database in it, and the command line to call there."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from headrace.cli.main import run
from headrace.privacy.vault import Vault
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.telemetry.record import TraceEnd
from headrace.telemetry.recorder import TRACE_END
from headrace.telemetry.store import trace_handlers
from headrace.telemetry.trace import Span, Trace
from headrace.types import Choice, Message


@dataclass(frozen=True)
class Result:
    """What one call of the command line gave."""

    status: int
    out: str
    err: str


Call: TypeAlias = Callable[..., Result]
Process: TypeAlias = Callable[..., "subprocess.CompletedProcess[bytes]"]
StoreTrace: TypeAlias = Callable[..., Trace]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which commands are called in. Its state is in .headrace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def call(folder: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process."""

    def call(*args: str) -> Result:
        capfd.readouterr()
        status = run(args)
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call


@pytest.fixture
def process(folder: Path) -> Process:
    """Call a command in a process of its own, as a shell would."""

    def process(
        *args: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-c", "from headrace.cli.main import main; main()", *args],
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return process


@pytest.fixture
def store_trace(folder: Path) -> StoreTrace:
    """Put a finished turn into the folder's database, its texts sealed, as the writer does."""
    home = folder / ".headrace"
    home.mkdir(mode=0o700, exist_ok=True)

    def store(
        asked: str = "", answered: str = "", *, person: str = "someone", **fields: object
    ) -> Trace:
        trace = a_trace(**fields)
        database = Database.open(home / DATABASE_FILE)
        vault = Vault.open(database, home)
        vault.unlock_now(person)
        trace.subject = vault.subject_id(person)
        asked_json = msgspec.json.encode([Message(role="user", content=asked)]).decode()
        answer_json = msgspec.json.encode([Choice(text=answered, finish_reason="stop")]).decode()
        end = TraceEnd(trace, vault.seal(person, asked_json), vault.seal(person, answer_json))
        with database.write() as connection:
            trace_handlers()[TRACE_END](connection, [msgspec.msgpack.encode(end)])
        database.close()
        return trace

    return store


def a_trace(**fields: object) -> Trace:
    """A turn through three steps, as a real one looks."""
    trace = Trace(
        started_at=1_795_554_333.2,
        duration_s=0.8,
        key_id="01a20f60-c92c-70e5-96f2-27be909ac37e",
        conversation="weekend",
        model="smollm2-135m",
        deployment="smollm2-135m-0",
        provider="llama_cpp",
        release="sha256:4f6c",
        template="assistant@9d2e",
        stream=True,
        language="en",
        prompt_tokens=42,
        completion_tokens=31,
        cached_tokens=20,
        ttft_s=0.2,
        tpot_s=0.02,
        finish_reason="stop",
        spans=[
            Span(
                name="normalize",
                start_s=0.0,
                duration_s=0.002,
                attributes={"headrace.normalize.invisible": 3},
            ),
            Span(name="screen", start_s=0.002, duration_s=0.001),
            Span(
                name="generate",
                start_s=0.003,
                duration_s=0.797,
                kind="client",
                attributes={"gen_ai.request.temperature": 0.3, "gen_ai.provider.name": "x"},
            ),
        ],
        findings=[
            {
                "kind": "email",
                "detector": "email",
                "side": "input",
                "action": "mask",
                "score": 1.0,
                "start": 8,
                "end": 25,
            }
        ],
    )
    for name, value in fields.items():
        setattr(trace, name, value)
    return trace
