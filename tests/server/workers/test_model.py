"""The weights are loaded once, and live through the death of a worker."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.conftest import BARE
from tests.server.workers.conftest import ask, clients, pids

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
            texts = ["a mill", "a river that turns the wheel of a mill all day long"] * 3
            alone = [embedding(both[0], text) for text in texts[:2]]
            with ThreadPoolExecutor(6) as pool:
                found = list(pool.map(lambda i: embedding(both[i % 2], texts[i]), range(6)))
            for position, vector in enumerate(found):
                assert vector == pytest.approx(alone[position % 2], abs=1e-3)
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
