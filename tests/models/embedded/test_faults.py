"""What happens when the worker dies, the client leaves, or the weights are no good."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import uvloop

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call
from headrace.models.deployment import Deployment, Runner
from headrace.models.embedded import supervisor as supervising
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.embedded.supervisor import Supervisor
from headrace.models.embedded.worker import WorkerSettings
from headrace.models.errors import WeightsUnavailable
from headrace.models.model import Model
from headrace.types import Deltas, Message, Params
from tests.models.embedded.answer import ask, call
from tests.models.embedded.conftest import Start, backend_at
from tests.running import wait_for

pytestmark = pytest.mark.model
in_session = pytest.mark.asyncio(loop_scope="session")

LONG = call("Tell a long story.", max_tokens=800, extra={"ignore_eos": True})


def kill(backend: EmbeddedBackend) -> None:
    assert backend.worker_pid is not None
    os.kill(backend.worker_pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def busy_slots(backend: EmbeddedBackend) -> int:
    slots = msgspec.json.decode(await backend._ask("GET", "/slots"), type=list[dict[str, object]])
    return sum(bool(slot["is_processing"]) for slot in slots)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


def model_of(backend: EmbeddedBackend) -> Model:
    return Model("smol", [Deployment(key="smol-0", runner=Runner(backend))], Params())


class ModelAnswers:
    """Generates as a backend does, but through the model and its balancer."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def generate(self, call: Call) -> Deltas:
        return self._model.ask(call).deltas(lambda _: call)


@in_session
async def test_a_worker_killed_in_mid_answer_ends_the_stream_and_the_next_request_works(
    start: Start,
) -> None:
    backend = await start()
    model = model_of(backend)
    seen = 0
    with pytest.raises(ModelUnavailable, match="broke off"):
        async for delta in ModelAnswers(model).generate(LONG):
            seen += bool(delta.text)
            if seen == 3:
                kill(backend)
    assert seen >= 3
    # Not a word about the worker: the request simply waits for the next one.
    assert (await ask(ModelAnswers(model), call("Hi"))).text


@in_session
async def test_a_request_with_nothing_given_yet_is_made_again(start: Start) -> None:
    backend = await start(parallel=1)
    model = model_of(backend)
    first = asyncio.create_task(ask(ModelAnswers(model), LONG))
    await until(lambda: is_busy(backend))
    # It waits for the only sequence when the worker dies under it.
    second = asyncio.create_task(ask(ModelAnswers(model), call("Hi")))
    await asyncio.sleep(0)
    before = backend.worker_pid
    kill(backend)
    first.cancel()
    assert (await second).text
    assert backend.worker_pid != before
    await asyncio.gather(first, return_exceptions=True)


async def is_busy(backend: EmbeddedBackend) -> bool:
    return await busy_slots(backend) > 0


async def is_free(backend: EmbeddedBackend) -> bool:
    return await busy_slots(backend) == 0


@in_session
async def test_counting_and_embedding_outlive_a_dead_worker(start: Start) -> None:
    backend = await start()
    model = model_of(backend)
    kill(backend)
    counted, (embedded, _) = await asyncio.gather(
        model.count_tokens([Message(role="user", content="Hi")]), model.embed(["Hi"])
    )
    assert counted > 1
    assert len(embedded.vectors[0]) == 576


@in_session
async def test_a_worker_that_lives_but_does_not_answer_is_replaced(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(supervising, "ANSWER_WITHIN_S", 0.5)
    backend = await start()
    model = model_of(backend)
    frozen = backend.worker_pid
    assert frozen is not None
    os.kill(frozen, signal.SIGSTOP)
    assert (await ask(ModelAnswers(model), call("Hi"))).text
    assert backend.worker_pid != frozen
    assert not is_alive(frozen)


@in_session
async def test_a_busy_worker_is_left_alone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "LOOK_EVERY_S", 0.01)
    backend = await start()
    worker = backend.worker_pid
    said = await ask(ModelAnswers(model_of(backend)), call("Tell a story.", max_tokens=60))
    assert said.text
    assert backend.worker_pid == worker


@in_session
async def test_a_client_that_leaves_frees_its_sequence(backend: EmbeddedBackend) -> None:
    async with aclosing(backend.generate(LONG)) as deltas:
        await anext(deltas)
        assert await busy_slots(backend) == 1
    await until(lambda: is_free(backend))


@in_session
async def test_a_client_that_leaves_while_waiting_takes_no_sequence(start: Start) -> None:
    backend = await start(parallel=1)
    async with aclosing(backend.generate(LONG)) as deltas:
        await anext(deltas)
        waiting = [asyncio.create_task(ask(backend, LONG)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    await until(lambda: is_free(backend))
    assert (await ask(backend, call("Hi"))).text


@in_session
async def test_stopping_ends_the_worker_and_leaves_nothing(start: Start) -> None:
    backend = await start()
    pid = backend.worker_pid
    assert pid is not None
    await backend.stop()
    assert not is_alive(pid)
    assert not backend.is_ready()
    with pytest.raises(ModelUnavailable):
        await ask(backend, call("Hi"))
    await backend.stop()
    await backend.start()
    assert (await ask(backend, call("Hi"))).text


@in_session
async def test_starting_twice_keeps_the_worker(start: Start) -> None:
    backend = await start()
    pid = backend.worker_pid
    await backend.start()
    assert backend.worker_pid == pid


@in_session
async def test_a_worker_does_not_outlive_a_service_that_was_killed(
    model_home: Path, tmp_path: Path
) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from tests.models.embedded.conftest import backend_at
async def main():
    backend = backend_at(Path(sys.argv[1]))
    await backend.start()
    print(backend.worker_pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    service = subprocess.Popen(
        [sys.executable, "-c", script, str(model_home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert service.stdout is not None
    with service.stdout:
        worker = int(await asyncio.to_thread(service.stdout.readline))
    assert is_alive(worker)
    service.kill()
    service.wait(10)
    wait_for(lambda: not is_alive(worker))


@in_session
async def test_weights_that_are_none_are_said_with_the_runtimes_own_words(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF, but not a model")
    backend = backend_at(tmp_path, weights="file:model.gguf")
    with pytest.raises(ModelUnavailable, match="the model process did not start") as caught:
        await backend.start()
    assert "headrace doctor" in caught.value.hint
    assert not backend.is_ready()
    assert not await backend.wait_ready(30)


@in_session
async def test_a_file_of_another_format_is_named_before_the_runtime_sees_it(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    backend = backend_at(tmp_path, weights="file:model.safetensors")
    with pytest.raises(WeightsUnavailable, match="this is no GGUF file"):
        await backend.start()


@in_session
async def test_files_of_the_services_folder_do_not_mislead_the_worker(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('misled')")
    (tmp_path / "signal.py").write_text("raise SystemExit('misled')")
    monkeypatch.chdir(tmp_path)
    assert (await start()).is_ready()


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_request_in_the_very_moment_of_a_death_waits_for_the_next_worker(
    weights_folder: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def die_and_ask() -> bool:
        supervisor = Supervisor(worker_settings(next(weights_folder.glob("*/*.gguf"))))
        await supervisor.start()
        try:
            assert supervisor.pid is not None
            os.kill(supervisor.pid, signal.SIGKILL)
            while supervisor.is_ready():
                await asyncio.sleep(0)
            return await supervisor.wait_ready(60)
        finally:
            await supervisor.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(die_and_ask())


@in_session
async def test_nobody_waits_for_a_worker_that_keeps_dying(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "WORTH_WAITING_S", 0.3)
    supervisor = Supervisor(worker_settings(next(weights_folder.glob("*/*.gguf"))))
    await supervisor.start()
    try:
        deaths = 0
        while await supervisor.wait_ready(60):
            assert supervisor.pid is not None
            deaths += 1
            os.kill(supervisor.pid, signal.SIGKILL)
            pid = supervisor.pid
            await until(lambda pid=pid: died(supervisor, pid))  # type: ignore[misc]
        # The pauses grow past what is worth waiting for: 0.1, 0.2, 0.4 s.
        assert deaths == 3
        assert not supervisor.is_ready()
        await until(lambda: came_back(supervisor))
        assert await supervisor.wait_ready(0)
    finally:
        await supervisor.stop()


async def died(supervisor: Supervisor, pid: int) -> bool:
    return not supervisor.is_ready() or supervisor.pid != pid


async def came_back(supervisor: Supervisor) -> bool:
    return supervisor.is_ready()


@in_session
async def test_nobody_waits_for_a_worker_that_cannot_start(
    weights_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "model.gguf"
    weights.symlink_to(next(weights_folder.glob("*/*.gguf")))
    supervisor = Supervisor(worker_settings(weights))
    await supervisor.start()
    try:
        weights.unlink()
        assert supervisor.pid is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        await until(lambda: said(caplog, "did not start (exit status 1)"))
        assert not await supervisor.wait_ready(60)
        assert "ended (SIGKILL); it starts again in about 0.1 s" in caplog.text
        weights.symlink_to(next(weights_folder.glob("*/*.gguf")))
        await until(lambda: came_back(supervisor))
    finally:
        await supervisor.stop()


async def said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


def worker_settings(weights: Path) -> WorkerSettings:
    return WorkerSettings(
        weights=str(weights),
        socket="",
        context_tokens=256,
        parallel=1,
        threads=1,
        gpu_layers=0,
        requests=2,
        prompt_cache_mb=0,
    )
