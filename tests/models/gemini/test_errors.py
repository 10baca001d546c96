"""Gemini's error bodies."""

import pytest

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
)
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)
from headrace.models.gemini.backend import GeminiWire
from headrace.models.gemini.settings import GeminiSettings
from tests.upstreams.gemini import failure

WIRE = GeminiWire(GeminiSettings(model="gemini-3.1-pro"))


def error(
    status: int,
    kind: str,
    message: str = "why",
    *details: dict[str, object],
    listed: bool = False,
    headers: dict[str, str] | None = None,
) -> HeadraceError:
    answer = failure(status, kind, message, *details, listed=listed)
    assert isinstance(answer.body, bytes)
    return WIRE.error_of(status, headers or {}, answer.body)


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "INVALID_ARGUMENT", InvalidRequest),
        (400, "FAILED_PRECONDITION", DeploymentMisconfigured),
        (401, "UNAUTHENTICATED", DeploymentMisconfigured),
        (403, "PERMISSION_DENIED", DeploymentMisconfigured),
        (404, "NOT_FOUND", DeploymentMisconfigured),
        (413, "", PayloadTooLarge),
        (429, "RESOURCE_EXHAUSTED", DeploymentThrottled),
        (500, "INTERNAL", ModelUnavailable),
        (503, "UNAVAILABLE", DeploymentThrottled),
        (504, "DEADLINE_EXCEEDED", DeploymentTimeout),
    ],
)
def test_each_error_is_what_one_can_do_about_it(
    status: int, kind: str, expected: type[HeadraceError], listed: bool
) -> None:
    found = error(status, kind, listed=listed)
    assert type(found) is expected
    assert "why" in found.message


def test_a_key_that_is_not_valid_is_not_the_clients_fault() -> None:
    info: dict[str, object] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
    }
    found = error(400, "INVALID_ARGUMENT", "API key not valid.", info)
    assert isinstance(found, DeploymentMisconfigured)
    assert "api_key" in found.hint


def test_a_prompt_that_is_too_long_says_by_how_much() -> None:
    message = (
        "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
    )
    found = error(400, "INVALID_ARGUMENT", message)
    assert isinstance(found, ContextTooLong)
    assert "1048576 tokens" in found.message
    assert "1200293 tokens" in found.message


def test_which_quota_is_used_up_and_when_to_come_back() -> None:
    quota: dict[str, object] = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {
                "quotaMetric": "generativelanguage.googleapis.com/generate_requests",
                "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                "quotaValue": "250",
            }
        ],
    }
    retry: dict[str, object] = {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "22.5s",
    }
    help_: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.Help", "links": []}
    found = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", help_, quota, retry)
    assert isinstance(found, DeploymentThrottled)
    assert found.retry_after_s == 22.5
    assert found.hint == "quota: GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    plain = error(429, "RESOURCE_EXHAUSTED", headers={"retry-after": "3"})
    assert isinstance(plain, DeploymentThrottled)
    assert plain.retry_after_s == 3.0


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("generation_config.response_json_schema", "response_format"),
        ("contents[1].parts[0].data", "messages"),
        ("tools[0].function_declarations[0].name", "tools"),
        ("generation_config.temperature", "temperature"),
        ("something", None),
    ],
)
def test_the_refused_field_is_named_in_the_clients_words(field: str, param: str | None) -> None:
    bad: dict[str, object] = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": "no"}],
    }
    assert error(400, "INVALID_ARGUMENT", "Invalid value", bad).param == param


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, ModelUnavailable),
        (429, DeploymentThrottled),
        (403, DeploymentMisconfigured),
        (400, InvalidRequest),
        (413, PayloadTooLarge),
    ],
)
def test_what_stands_before_the_api_answers_in_its_own_way(
    status: int, expected: type[HeadraceError]
) -> None:
    assert type(WIRE.error_of(status, {}, b"<html>\xff</html>")) is expected
    assert type(WIRE.error_of(status, {}, b"[]")) is expected
