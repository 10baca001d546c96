"""A released version in a running service: asked for by its tag, taken over when the tag moves."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for

pytestmark = [pytest.mark.service, pytest.mark.model]

SHOP = "messages: {{system: '{}'}}\nparams: {{max_tokens: 4}}\n"


@pytest.fixture
def shop(tmp_path: Path, model_home: Path) -> Iterator[ServiceProcess]:
    path = tmp_path / "service" / "prompts" / "shop.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SHOP.format("One."))
    service = ServiceProcess.start(path.parent.parent, model_home)
    yield service
    service.stop()


def ask(service: ServiceProcess, template: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Hi"}], "template": template}
    with service.client() as client:
        return client.post("/v1/chat/completions", json=body)


def template_of(service: ServiceProcess, response: httpx.Response) -> str:
    trace = response.headers["x-headrace-trace"]
    return service.run("trace", "show", trace, "--json").stdout


def test_a_tag_decides_what_is_answered_with(shop: ServiceProcess) -> None:
    assert ask(shop, "shop@production").status_code == 404
    shop.run("prompts", "tag", "shop", "current", "production")
    wait_for(lambda: ask(shop, "shop@production").status_code == 200)
    (shop.log.parent / "prompts" / "shop.yaml").write_text(SHOP.format("Two."))
    wait_for(lambda: "v2" in shop.run("prompts", "history", "shop").stdout)
    released = shop.run("prompts", "show", "shop@production").stdout
    assert "One." in released
    used = template_of(shop, ask(shop, "shop@production"))
    digest = shop.run("prompts", "show", "shop@v1", "--json").stdout
    assert "shop@" in used
    assert used.split('"shop@')[1][:12] in digest, "the trace's digest finds its text again"
