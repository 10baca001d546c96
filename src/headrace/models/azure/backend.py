"""Serves one deployment of Azure OpenAI."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from headrace.errors import ConfigError
from headrace.models.azure.wire import V1, AzureResponsesWire, AzureWire
from headrace.models.openai.errors import Site
from headrace.models.openai.quirk import Quirks
from headrace.models.remote import RemoteBackend, RemoteSettings

__all__ = ["AzureOpenAIBackend", "AzureOpenAISettings"]

_QUIRKS = Quirks(max_tokens="max_completion_tokens", developer_role=True)
_OLD_QUIRKS = Quirks(stream_usage=False)
_NEW_SINCE = "2024-09-01"
"""The first version that knows `max_completion_tokens` and `stream_options`."""


class AzureOpenAISettings(RemoteSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment at Azure OpenAI (`deployments[]`).

    `model` is the name that the deployment has at Azure, `base_url` its resource's address, such as
    `https://NAME.openai.azure.com`.
    """

    api_version: Annotated[str, Meta(pattern=r"^(v1|\d{4}-\d{2}-\d{2}(-preview)?)$")] = V1
    """`v1`, or a dated version such as `2024-10-21`."""
    api: Literal["chat", "responses"] = "chat"
    """Which protocol it is asked in: `/chat/completions` or `/responses`."""
    entra_token: str | None = None
    """A token of Microsoft Entra ID, instead of `api_key`; whoever sets it renews it."""
    quirks: Quirks | None = None
    """Where the model differs from OpenAI's own, as those of other makers may."""


class AzureOpenAIBackend(RemoteBackend):
    """Serves one deployment, by key or by a token of Entra ID."""

    provider = "azure.ai.openai"
    Settings: ClassVar[type[msgspec.Struct]] = AzureOpenAISettings
    key_variable: ClassVar[str] = "AZURE_OPENAI_API_KEY"

    def __init__(
        self,
        settings: AzureOpenAISettings,
        *,
        name: str,
        root: Path,
        home: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del root, home
        if not settings.base_url:
            raise ConfigError(
                "`base_url` is missing",
                hint="add your resource's address: `base_url: https://NAME.openai.azure.com`",
            )
        secret = settings.entra_token or settings.api_key
        if not secret:
            raise ConfigError(
                f"Azure OpenAI wants a key, and the variable {self.key_variable} is not set",
                hint=f"export {self.key_variable}=…, or add `api_key:` or `entra_token:`",
            )
        header = (
            ("authorization", f"Bearer {settings.entra_token}")
            if settings.entra_token
            else ("api-key", secret)
        )
        site = Site(
            provider="Azure OpenAI",
            model=settings.model,
            secret=secret,
            key_hint="renew `entra_token`, or check its role at the resource"
            if settings.entra_token
            else "check that `api_key` is one of this resource's keys",
        )
        version = settings.api_version
        quirks = _QUIRKS if version == V1 or version >= _NEW_SINCE else _OLD_QUIRKS
        # People copy the address with more or less of the path that other clients want.
        address = settings.base_url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        settings = msgspec.structs.replace(settings, base_url=address)
        kind = AzureResponsesWire if settings.api == "responses" else AzureWire
        wire = kind(site, settings.quirks or quirks, [header], clock=clock)
        wire.api_version = version
        super().__init__(settings, wire, name=name)
