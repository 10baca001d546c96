"""Limits are those of the service: exact whichever workers let the calls in."""

import functools
import json
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.server.workers.conftest import CHAT, StartWorkers, Upstream, ask, clients, pids

pytestmark = pytest.mark.service

LIMITS = """\
  - {key: admin, requests_per_minute: 60}
  - {key: held, concurrent: 3}
"""


def test_limits_are_counted_together(start: StartWorkers, upstream: Upstream) -> None:
    service = start(limits=LIMITS)
    with clients(service) as both:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: send(service, i), range(90)))
        assert Counter(each.status_code for each in answers) == {200: 60, 429: 30}
        assert {ask(each, "more").status_code for each in both} == {429}
        left = [each.headers.get("x-ratelimit-remaining-requests") for each in answers]
        assert min(int(each) for each in left if each is not None) == 0
        pages = [each.get("/metrics").text for each in both]
        rejected = 'headrace_limit_rejections_total{limit="requests_per_minute",rule="key admin"}'
        assert all(f"{rejected} 32.0" in page for page in pages)
        places_of_a_killed_worker_are_free(service, upstream)


def send(service: ServiceProcess, number: int) -> httpx.Response:
    with service.client(30) as client:
        return ask(client, f"number {number}")


def knows(client: httpx.Client, headers: dict[str, str]) -> bool:
    """Whether the worker at which the client is has taken the key over."""
    return client.get("/v1/models", headers=headers).status_code == 200


def places_of_a_killed_worker_are_free(service: ServiceProcess, upstream: Upstream) -> None:
    made = json.loads(service.run("keys", "create", "held", "--json").stdout)
    headers = {"authorization": f"Bearer {made['secret']}"}
    hold = {"messages": [{"role": "user", "content": "hold on"}], "stream": True}
    with clients(service) as both, clients(service) as more, ExitStack() as stack:
        for each in both:
            wait_for(functools.partial(knows, each, headers))
        for each in (both[0], both[1], more[1]):
            stack.enter_context(each.stream("POST", CHAT, json=hold, headers=headers))
        body = {"messages": [{"role": "user", "content": "one more"}]}
        assert more[0].post(CHAT, json=body, headers=headers).status_code == 429
        os.kill(pids(service)[0], signal.SIGKILL)
        wait_for(lambda: "worker 0 answers again" in service.said())
        # One place of three is free again, and it is one.
        with clients(service) as third:
            stack.enter_context(third[0].stream("POST", CHAT, json=hold, headers=headers))
            assert third[1].post(CHAT, json=body, headers=headers).status_code == 429
        for waiting in upstream.holds:
            waiting.go_on.set()
