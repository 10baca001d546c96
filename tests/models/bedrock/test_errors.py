"""Bedrock's error bodies."""

import msgspec
import pytest

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
)
from headrace.models.bedrock.backend import BedrockWire
from headrace.models.bedrock.settings import BedrockSettings
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)
from tests.upstreams.bedrock import failure

WIRE = BedrockWire(BedrockSettings(model="claude", base_url="https://b.example"), "key")


def error(status: int, kind: str, text: str = "why") -> HeadraceError:
    answer = failure(status, kind, text)
    assert isinstance(answer.body, bytes)
    return WIRE.error_of(status, dict(answer.headers), answer.body)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "ValidationException", InvalidRequest),
        (403, "AccessDeniedException", DeploymentMisconfigured),
        (403, "UnrecognizedClientException", DeploymentMisconfigured),
        (403, "InvalidSignatureException", DeploymentMisconfigured),
        (403, "ExpiredTokenException", DeploymentMisconfigured),
        (403, "MissingAuthenticationTokenException", DeploymentMisconfigured),
        (404, "ResourceNotFoundException", DeploymentMisconfigured),
        (408, "ModelTimeoutException", DeploymentTimeout),
        (424, "ModelErrorException", ModelUnavailable),
        (429, "ThrottlingException", DeploymentThrottled),
        (429, "ModelNotReadyException", DeploymentThrottled),
        (400, "ServiceQuotaExceededException", DeploymentThrottled),
        (500, "InternalServerException", ModelUnavailable),
        (503, "ServiceUnavailableException", ModelUnavailable),
    ],
)
def test_each_error_is_what_one_can_do_about_it(
    status: int, kind: str, expected: type[HeadraceError]
) -> None:
    found = error(status, kind)
    assert type(found) is expected
    assert "why" in found.message


def test_the_kind_may_stand_in_the_body() -> None:
    body = msgspec.json.encode(
        {"__type": "com.amazon.coral.service#ThrottlingException", "Message": "slow down"}
    )
    found = WIRE.error_of(400, {"retry-after": "2"}, body)
    assert isinstance(found, DeploymentThrottled)
    assert (found.message, found.retry_after_s) == ("Bedrock: slow down", 2.0)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (
            "The model returned the following errors: prompt is too long: 208310 tokens > 200000 maximum",
            True,
        ),
        (
            "This model's maximum context length is 200000 tokens. Shorten the prompt: 208310 tokens",
            True,
        ),
        ("Input is too long for requested model.", False),
        ("Too many input tokens. Max input tokens: 200000", False),
    ],
)
def test_a_prompt_that_is_too_long(text: str, counted: bool) -> None:
    found = error(400, "ValidationException", text)
    assert isinstance(found, ContextTooLong)
    assert found.param == "messages"
    if counted:
        assert "200000 tokens" in found.message
        assert "208310 tokens" in found.message


@pytest.mark.parametrize(
    "text",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID anthropic.x with on-demand throughput isn’t supported.",
        "This model version has reached the end of its life.",
    ],
)
def test_a_wrong_model_is_the_operators_matter(text: str) -> None:
    assert isinstance(error(400, "ValidationException", text), DeploymentMisconfigured)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, ModelUnavailable),
        (429, DeploymentThrottled),
        (403, DeploymentMisconfigured),
        (400, InvalidRequest),
        (413, PayloadTooLarge),
        (408, DeploymentTimeout),
    ],
)
def test_what_stands_before_the_api_answers_in_its_own_way(
    status: int, expected: type[HeadraceError]
) -> None:
    assert type(WIRE.error_of(status, {}, b"<html>\xff</html>")) is expected
