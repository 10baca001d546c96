"""The weights are loaded once, and live through the death of a worker."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.conftest import BARE
from tests.server.workers.conftest import CHAT, ask, clients, pids

pytestmark = [pytest.mark.service, pytest.mark.model]


def test_two_workers_share_one_runtime(tmp_path: Path, model_home: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "headrace.yaml").write_text(BARE)
    service = ServiceProcess.start(root, model_home, args=("--workers", "2"))
    try:
        (runtime,) = service.worker_pids()
        with clients(service) as both:
            assert [ask(each, "hello", max_tokens=2).status_code for each in both] == [200, 200]
            # llama.cpp would mix up texts that it embeds at the same time (decision 0034).
            texts = [
                "The engine of the ship failed.",
                "a river that turns the wheel of a mill all day",
            ]
            alone = [embedding(both[0], text) for text in texts]
            # While it generates, what is to be embedded waits, and would go into one batch.
            story = {
                "messages": [{"role": "user", "content": "Write a very long story."}],
                "max_tokens": 200,
                "stream": True,
            }
            with (
                service.client() as third,
                third.stream("POST", CHAT, json=story) as response,
                ThreadPoolExecutor(2) as pool,
            ):
                next(response.iter_lines())
                found = pool.map(
                    lambda client, text: [embedding(client, text) for _ in range(8)], both, texts
                )
                for vectors, expected in zip(found, alone, strict=True):
                    assert all(each == pytest.approx(expected, abs=1e-2) for each in vectors)
            os.kill(pids(service)[0], signal.SIGKILL)
            wait_for(lambda: "worker 0 answers again" in service.said())
            assert service.worker_pids() == [runtime], "it is nobody's child but the supervisor's"
            os.kill(runtime, signal.SIGKILL)
        with clients(service) as again:
            # Nothing was sent of these yet, so they wait for the model to come back.
            assert [ask(each, "hello", max_tokens=2).status_code for each in again] == [200, 200]
        (successor,) = service.worker_pids()
        assert successor != runtime
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            service.kill()
    assert not Path(f"/proc/{successor}").exists()


def embedding(client: httpx.Client, text: str) -> list[float]:
    found = client.post("/v1/embeddings", json={"model": "small", "input": text}).json()
    return [float(each) for each in found["data"][0]["embedding"]]
