"""Settings of a deployment with `backend: bedrock`, and where it finds what they leave open."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from headrace.models.bedrock.sigv4 import Credentials
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.remote import RemoteSettings

__all__ = ["BedrockSettings", "credentials_of", "in_region"]


class BedrockSettings(RemoteSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: bedrock`.

    `model` is a model's id, an inference profile's (`us.anthropic.claude-…`) or an ARN; `api_key`
    is a Bedrock API key, in place of an access key (absent: `AWS_BEARER_TOKEN_BEDROCK`).
    """

    aws_region: str | None = None
    """AWS region, such as `us-east-1`; absent: `AWS_REGION`, else `AWS_DEFAULT_REGION`."""
    access_key_id: str | None = None
    """Absent: `AWS_ACCESS_KEY_ID`."""
    secret_access_key: str | None = None
    """Absent: `AWS_SECRET_ACCESS_KEY`."""
    session_token: str | None = None
    """Of temporary credentials; absent: `AWS_SESSION_TOKEN`."""
    control_url: str = ""
    """Where models are listed; absent: `https://bedrock.REGION.amazonaws.com`."""
    thinking: Literal["adaptive", "budget", "field"] = "adaptive"
    """How `reasoning_effort` is said: `adaptive` with an effort (Claude 4.6 and later), as a
    `budget` of tokens (older Claudes), or as the model's own `field` of that name (gpt-oss)."""


def in_region(settings: BedrockSettings, environ: Mapping[str, str]) -> BedrockSettings:
    """The settings with region and addresses filled in.

    Raises:
        DeploymentMisconfigured: no region is set, nor in the environment.
    """
    region = settings.aws_region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise DeploymentMisconfigured(
            f"the AWS region of {settings.model!r} is not known",
            hint="set `aws_region`, or AWS_REGION in the environment",
        )
    host = f"{region}.{'amazonaws.com.cn' if region.startswith('cn-') else 'amazonaws.com'}"
    return msgspec.structs.replace(
        settings,
        aws_region=region,
        base_url=settings.base_url or f"https://bedrock-runtime.{host}",
        control_url=settings.control_url or f"https://bedrock.{host}",
    )


def credentials_of(
    settings: BedrockSettings, environ: Mapping[str, str]
) -> Credentials | str | None:
    """The access key, or the API key as text; None where there is neither.

    Settings come before the environment, and there an API key before an access key, as in AWS's
    own SDKs.
    """
    if settings.api_key is not None:
        return settings.api_key
    if settings.access_key_id is not None and settings.secret_access_key is not None:
        return Credentials(
            settings.access_key_id, settings.secret_access_key, settings.session_token
        )
    if token := environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        return token
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, environ.get("AWS_SESSION_TOKEN") or None)
    return None
