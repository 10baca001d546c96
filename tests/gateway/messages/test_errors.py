"""Anthropic's types and statuses for our codes."""

import json

import pytest

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.gateway.errors import STATUS_BY_CODE
from headrace.gateway.messages.errors import ANTHROPIC
from headrace.models.errors import DeploymentThrottled

TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
}


def with_code(code: str) -> HeadraceError:
    error = HeadraceError("it failed", hint="mend it")
    error.code = code  # type: ignore[misc]  # a class of its own for each would say the same
    return error


@pytest.mark.parametrize("code", [*STATUS_BY_CODE, "code_of_a_plugin"])
def test_every_code_has_a_type_and_blames_the_same_side(code: str) -> None:
    error = with_code(code)
    body = json.loads(ANTHROPIC.error_body(error, "r1"))
    assert body["error"]["type"] in TYPES
    assert body["error"]["message"] == "it failed (mend it)"
    assert body["request_id"] == "r1"
    ours, theirs = STATUS_BY_CODE.get(code, 500), ANTHROPIC.status_of(error)
    # "Too many" of the whole service's is 529 there, and a client may ask again either way.
    assert ours // 100 == theirs // 100 or (ours, theirs) == (429, 529)


def test_a_providers_limit_is_an_overload_and_the_keys_own_is_not() -> None:
    assert ANTHROPIC.status_of(DeploymentThrottled("full")) == 529
    assert ANTHROPIC.status_of(ModelUnavailable("down")) == 529
    assert ANTHROPIC.status_of(with_code("rate_limit_exceeded")) == 429
