"""The example of policies on the real service: what a client, a reader and a reviewer meet."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.console.test_markup import Document
from tests.console.visitor import Visitor
from tests.running import ServiceProcess, wait_for

EXAMPLE = Path(__file__).parents[2] / "examples" / "policies"

pytestmark = [pytest.mark.service, pytest.mark.model]


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    root = tmp_path_factory.mktemp("policies") / "service"
    shutil.copytree(EXAMPLE, root)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    running = ServiceProcess.start(root, home)
    yield running
    running.stop()


@pytest.fixture
def admin(shop: ServiceProcess) -> Iterator[Visitor]:
    visitor = Visitor.of(shop, address="127.0.0.1")
    visitor.sign_in(shop.key)
    yield visitor
    visitor.client.close()


def ask(service: ServiceProcess, text: str, **headers: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0}
    return httpx.post(
        f"{service.url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {service.key}", **headers},
        timeout=60,
    )


def test_a_client_confirms_what_it_is_asked_about(shop: ServiceProcess) -> None:
    text = "When does Bluebird start?"
    refused = ask(shop, text)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "confirmation_required")
    assert "term.codename" in error["message"]
    assert ask(shop, text, **{"x-headrace-confirm": error["confirmation"]}).status_code == 200
    again = ask(shop, "When does Bluebird end?", **{"x-headrace-confirm": error["confirmation"]})
    assert again.status_code == 400


def test_a_reader_of_the_chat_page_confirms_with_a_button(admin: Visitor) -> None:
    form = {"text": "When does Bluebird start?", "conversation": ""}
    refused = admin.post("/chat", form)
    assert "data-confirm=" in refused.text
    token = refused.text.split('data-confirm=\\"')[1].split('\\"')[0]
    assert "event: done" in admin.post("/chat", {**form, "confirm": token}).text


def test_a_person_decides_what_was_given_to_them(shop: ServiceProcess, admin: Visitor) -> None:
    assert ask(shop, "I will file a lawsuit about <b>wheels</b>.").status_code == 200
    page = admin.get("/reviews")  # waits for what is on its way to the database
    waiting = shop.told("screen", "review", "list")
    (entry,) = (each for each in waiting if each["side"] == "input")
    assert (entry["kind"], entry["side"], entry["withheld"]) == ("term.legal", "input", False)

    Document(page.text)
    assert f"/reviews/{entry['id']}" in page.text
    one = admin.get(f"/reviews/{entry['id']}")
    Document(one.text)
    assert "user: I will file a lawsuit about &lt;b&gt;wheels" in one.text
    assert "审核队列" in admin.get("/reviews", accept_language="zh").text

    decided = admin.post(
        f"/reviews/{entry['id']}/decide", {"decision": "allow", "reason": "An empty threat."}
    )
    assert decided.status_code == 303
    assert entry["id"] not in admin.get("/reviews").text
    assert entry["id"] in admin.get("/reviews?decided=1").text
    shown = shop.told("screen", "review", "show", entry["id"][-8:])
    assert [each["reason"] for each in shown["decisions"]] == ["An empty threat."]
    again = shop.run("screen", "review", "decide", entry["id"], "refuse", "--reason", "Not empty.")
    assert again.stdout == f"{entry['id']}: refuse\n"
    assert shop.run("screen", "review", "verify").returncode == 0
    for name in shop.home.glob("*.db*"):
        assert b"lawsuit" not in name.read_bytes()
        assert b"empty threat" not in name.read_bytes()


def test_only_administrators_see_the_queue(shop: ServiceProcess) -> None:
    made = shop.told("keys", "create", "ann")
    visitor = Visitor.of(shop, address="127.0.0.1")
    wait_for(
        lambda: visitor.post("/sign-in", {"key": made["secret"], "next": "/"}).status_code == 303
    )
    assert visitor.get("/reviews").status_code == 403
    assert visitor.post("/reviews/x/decide", {"decision": "allow"}).status_code == 403
    visitor.client.close()


def test_a_policy_is_rehearsed_on_turns_that_were(shop: ServiceProcess, admin: Visitor) -> None:
    assert ask(shop, "My mail is kim@example.org, say hello.").status_code == 200
    strict = shop.log.parent / "strict.yaml"
    strict.write_text("extends: default\ninput: {email: block}\n", "utf-8")

    admin.get("/reviews")  # waits for what is on its way to the database
    told = shop.told("screen", "replay", "--policy", str(strict), "--since", "1h")
    assert {"side": "input", "kind": "email", "action": "mask", "count": 1} in told["done"]
    assert {"side": "input", "kind": "email", "action": "block", "count": 1} in told["would"]
    assert ("mask", "block") in [(each["done"], each["would"]) for each in told["changed"]]
    assert "kim@" not in json.dumps(told)
