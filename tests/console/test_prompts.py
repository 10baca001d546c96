"""The pages of the prompt library, without a browser."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.console.test_markup import Document
from tests.console.visitor import Visitor, make_key
from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]


@pytest.fixture
def come(prompt_service: ServiceProcess) -> Iterator[Callable[[], Visitor]]:
    """Makes visitors, not signed in yet."""
    with ExitStack() as stack:

        def come() -> Visitor:
            visitor = Visitor.of(prompt_service, address="127.0.0.1")
            stack.callback(visitor.client.close)
            return visitor

        yield come


@pytest.fixture
def admin(come: Callable[[], Visitor], prompt_service: ServiceProcess) -> Visitor:
    visitor = come()
    visitor.sign_in(prompt_service.key)
    return visitor


def test_the_library_lists_own_and_built_in_templates(admin: Visitor) -> None:
    page = admin.get("/prompts")
    Document(page.text)
    assert page.status_code == 200
    for name in ("shop", "summarise", "production", "this service", "built in"):
        assert name in page.text
    chinese = admin.get("/prompts", accept_language="zh")
    assert "提示词库" in chinese.text


def test_two_versions_stand_side_by_side_and_nothing_of_them_is_markup(admin: Visitor) -> None:
    page = admin.get("/prompts/shop?left=v1&right=v2")
    Document(page.text)
    assert page.text.count("Answer briefly.") == 2, "in the file and as rendered"
    assert "&lt;b&gt;one&lt;/b&gt;" in page.text
    assert "<b>one" not in page.text


def test_both_versions_answer_the_chosen_cases(admin: Visitor) -> None:
    form = {"left": "v1", "right": "current", "case-1": "on", "text": "What is 1 + 1?"}
    page = admin.post("/prompts/shop/run", form)
    Document(page.text)
    assert page.text.count('class="pair"') == 2
    assert page.text.count('class="badge failed"') == 2
    assert page.text.count('class="badge passed"') == 2
    assert "Tralala" in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/prompts/none", 404),
        ("/prompts/shop?left=v9", 404),
        ("/prompts/shop?left=../x", 404),
        ("/prompts/shop?case=99", 200),
        ("/prompts/shop?case=x", 200),
    ],
)
def test_addresses_that_name_nothing(admin: Visitor, path: str, status: int) -> None:
    assert admin.get(path).status_code == status


def test_a_run_without_a_case_is_refused(admin: Visitor) -> None:
    assert admin.post("/prompts/shop/run", {"left": "v1", "right": "v2"}).status_code == 400


def test_only_administrators_see_it(
    come: Callable[[], Visitor], prompt_service: ServiceProcess
) -> None:
    guest = come()
    guest.sign_in(make_key(prompt_service, "guest")[1])
    answers: list[httpx.Response] = [
        guest.get("/prompts"),
        guest.get("/prompts/shop"),
        guest.post("/prompts/shop/run", {"left": "v1", "right": "v2", "case-0": "on"}),
    ]
    assert [each.status_code for each in answers] == [403, 403, 403]
    assert 'href="/prompts"' not in guest.get("/").text
    assert come().get("/prompts").headers["location"] == "/sign-in?next=/prompts"
