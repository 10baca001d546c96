"""Anthropic's error bodies and rate-limit headers."""

import pytest

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
)
from headrace.models.anthropic.backend import AnthropicWire
from headrace.models.anthropic.settings import AnthropicSettings
from headrace.models.backend import RateLimits
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)
from tests.models.anthropic.conftest import NOW
from tests.upstreams.anthropic import failure

WIRE = AnthropicWire(AnthropicSettings(model="claude-sonnet-5"), clock=lambda: NOW)


def error(status: int, kind: str, message: str = "why", **headers: str) -> HeadraceError:
    answer = failure(status, kind, message)
    assert isinstance(answer.body, bytes)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WIRE.error_of(status, named, answer.body)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", InvalidRequest),
        (401, "authentication_error", DeploymentMisconfigured),
        (402, "billing_error", DeploymentMisconfigured),
        (403, "permission_error", DeploymentMisconfigured),
        (404, "not_found_error", DeploymentMisconfigured),
        (413, "request_too_large", PayloadTooLarge),
        (429, "rate_limit_error", DeploymentThrottled),
        (500, "api_error", ModelUnavailable),
        (504, "timeout_error", DeploymentTimeout),
        (529, "overloaded_error", DeploymentThrottled),
        (500, "a_new_error", ModelUnavailable),
    ],
)
def test_each_error_is_what_one_can_do_about_it(
    status: int, kind: str, expected: type[HeadraceError]
) -> None:
    found = error(status, kind)
    assert type(found) is expected
    assert "why" in found.message


def test_a_prompt_that_is_too_long_says_by_how_much() -> None:
    message = "prompt is too long: 208310 tokens > 200000 maximum"
    found = error(400, "invalid_request_error", message)
    assert isinstance(found, ContextTooLong)
    assert "200000 tokens" in found.message
    assert "208310 tokens" in found.message
    both = "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease"
    assert "210000" in error(400, "invalid_request_error", both).message


def test_the_refused_field_is_named_in_the_clients_words() -> None:
    for message, param in (
        ("temperature: range: 0..1", "temperature"),
        ("messages.1.content.0.text: Field required", "messages"),
        ("stop_sequences.0: each must contain non-whitespace", "stop"),
        ("output_config.format.schema: For 'object' type …", "response_format"),
        ("something is wrong", None),
    ):
        assert error(400, "invalid_request_error", message).param == param


def test_money_is_the_operators_matter() -> None:
    balance = "Your credit balance is too low to access the Anthropic API."
    assert isinstance(error(400, "invalid_request_error", balance), DeploymentMisconfigured)
    spent = (
        b'{"type":"error","error":{"type":"rate_limit_error","message":"limit reached",'
        b'"details":{"error_code":"enforced_spend_limit_reached"}}}'
    )
    assert isinstance(WIRE.error_of(429, {}, spent), DeploymentMisconfigured)


def test_when_to_come_back() -> None:
    for header, expected in (
        ("7", 7.0),
        ("Mon, 24 Nov 2025 16:00:30 GMT", 30.0),
        ("Mon, 24 Nov 2025 15:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
    ):
        found = error(429, "rate_limit_error", retry_after=header)
        assert isinstance(found, DeploymentThrottled)
        assert found.retry_after_s == expected
    assert getattr(error(529, "overloaded_error"), "retry_after_s", 0) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, ModelUnavailable),
        (413, PayloadTooLarge),
        (403, DeploymentMisconfigured),
        (429, DeploymentThrottled),
        (529, DeploymentThrottled),
        (504, DeploymentTimeout),
        (422, InvalidRequest),
    ],
)
def test_what_stands_before_the_api_answers_in_its_own_way(
    status: int, expected: type[HeadraceError]
) -> None:
    assert type(WIRE.error_of(status, {}, b"<html>\xff</html>")) is expected
    unnamed = b'{"type":"error","error":{"type":"<nil>","message":"why"}}'
    assert type(WIRE.error_of(status, {}, unnamed)) is expected


def test_limits_come_from_the_headers_and_resets_are_seconds_from_now() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2025-11-24T16:00:12Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": "2025-11-24T16:01:00Z",
    }
    assert WIRE.rate_limits(headers) == RateLimits(
        requests_limit=50,
        requests_remaining=49,
        requests_reset_s=12.0,
        tokens_limit=40000,
        tokens_remaining=39000,
        tokens_reset_s=60.0,
    )
    headers |= {
        "anthropic-ratelimit-tokens-limit": "50000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "long ago",
    }
    limits = WIRE.rate_limits(headers)
    assert limits is not None
    assert (limits.tokens_limit, limits.tokens_remaining) == (50000, 0)
    assert limits.tokens_reset_s is None
    assert WIRE.rate_limits({"content-type": "application/json"}) is None
