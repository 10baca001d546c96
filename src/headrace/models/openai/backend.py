"""Serves a model of OpenAI's, or of any server that speaks one of its two protocols.

Every preset is a backend of its own (`backend: deepseek`): a class made from the table's entry, so
an entry point names it as `headrace.models.openai.backend:deepseek`.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from headrace.errors import ConfigError
from headrace.models.adapted import AdapterSource
from headrace.models.backend import Embeddings, ModerationInput, ModerationResult
from headrace.models.openai.errors import Site
from headrace.models.openai.moderation import moderation_body, results_in
from headrace.models.openai.preset import PRESETS, Preset
from headrace.models.openai.quirk import Quirks
from headrace.models.openai.relay import RelayTarget
from headrace.models.openai.wire import OpenAIWire
from headrace.models.openai_responses.wire import ResponsesWire
from headrace.models.remote import RemoteBackend, RemoteSettings
from headrace.types import TextKind

if TYPE_CHECKING:
    from headrace.models.openai.adapted import AdaptedVllmBackend, AdaptedVllmSettings

__all__ = ["CompatibleBackend", "CompatibleSettings", "OpenAIBackend", "OpenAISettings"]


class CompatibleSettings(RemoteSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment on an OpenAI-compatible server (`deployments[]`)."""

    api: Literal["chat", "responses"] | None = None
    """Which protocol it is asked in: `/chat/completions` or `/responses`; absent: the preset's."""
    quirks: Quirks | None = None
    """Where the server differs from OpenAI's own; absent: the preset's, which these replace."""
    query_prefix: str = ""
    """What an embedding model wants in front of a question, such as `query: ` for E5."""
    passage_prefix: str = ""
    """What it wants in front of a passage."""
    provider: Annotated[str, Meta(min_length=1)] | None = None
    """What traces call it (`gen_ai.provider.name`); absent: the preset's."""


class OpenAISettings(CompatibleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment at OpenAI (`deployments[]`)."""

    organization: str | None = None
    """The organization that is billed (`openai-organization`)."""
    project: str | None = None
    """The project that is billed (`openai-project`)."""


class CompatibleBackend(RemoteBackend):
    """Serves one model of the server that the class's preset describes."""

    Settings: ClassVar[type[msgspec.Struct]] = CompatibleSettings
    preset: ClassVar[Preset] = PRESETS["openai_compatible"]
    reads_folder = True
    """Of an adapter, a server loads PEFT's files."""
    key_variable: ClassVar[str] = ""
    """The environment variable that holds the key where the settings name none."""

    def __init__(
        self,
        settings: CompatibleSettings,
        *,
        name: str,
        root: Path,
        home: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del root, home
        preset = self.preset
        if not settings.base_url and not preset.base_url:
            raise ConfigError(
                "`base_url` is missing",
                hint="add `base_url: http://HOST:PORT/v1` to the deployment",
            )
        if not settings.api_key and preset.key_variable and not settings.base_url:
            raise ConfigError(
                f"{preset.title} wants a key, and the variable {preset.key_variable} is not set",
                hint=f"export {preset.key_variable}=…, or add `api_key: ${{OTHER_VARIABLE}}`",
            )
        settings = msgspec.structs.replace(settings, base_url=settings.base_url or preset.base_url)
        self.provider = settings.provider or preset.provider
        site = Site(
            provider=settings.provider or preset.title,
            model=settings.model,
            secret=settings.api_key or "",
            key_hint=f"check `api_key` of this deployment (or {preset.key_variable})"
            if preset.key_variable
            else "check `api_key` of this deployment",
        )
        kind = ResponsesWire if (settings.api or preset.api) == "responses" else OpenAIWire
        wire = kind(site, settings.quirks or preset.quirks, _headers(settings), clock=clock)
        self._prefixes: dict[TextKind | None, str] = {
            "query": settings.query_prefix,
            "passage": settings.passage_prefix,
        }
        super().__init__(settings, wire, name=name)
        if any(self._prefixes.values()):
            made_by = f"{self.digest}\n{settings.query_prefix}\n{settings.passage_prefix}"
            self.digest = hashlib.sha256(made_by.encode()).hexdigest()

    @classmethod
    def adapted(
        cls,
        settings: CompatibleSettings,
        adapter: AdapterSource,
        beside: Sequence[AdapterSource],
    ) -> "tuple[type[AdaptedVllmBackend], AdaptedVllmSettings] | None":
        """What serves the same model with an adapter on it; None: the server takes none."""
        del beside
        if not cls.preset.loads_adapters:
            return None
        from headrace.models.openai.adapted import AdaptedVllmBackend, AdaptedVllmSettings

        fields = msgspec.structs.asdict(settings)
        return AdaptedVllmBackend, AdaptedVllmSettings(**fields, adapter=adapter)

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        prefix = self._prefixes.get(kind, "")
        return await super().embed([prefix + each for each in inputs] if prefix else inputs)

    async def moderate(self, given: ModerationInput) -> Sequence[ModerationResult]:
        """What the model says about each input (`/moderations`)."""
        wire = self.wire
        assert isinstance(wire, OpenAIWire)
        request = wire.request("/moderations", moderation_body(given, wire.site.model))
        async with self._sent(request) as reply:
            body = await reply.read()
        return wire.read(body, lambda: results_in(body))

    def relay(self) -> RelayTarget | None:
        """Only of a server that is asked in chats, as the client asks us."""
        wire, client = self.wire, self._client
        if type(wire) is not OpenAIWire or client is None:
            return None
        request = wire.request("/chat/completions")
        headers = (*request.headers, *self.settings.headers.items())
        head = client.head(request.method, request.path, headers=headers)
        return RelayTarget(client, head, wire.site, wire.quirks)


class OpenAIBackend(CompatibleBackend):
    """Serves one model of OpenAI's."""

    Settings = OpenAISettings
    preset = PRESETS["openai"]
    key_variable = PRESETS["openai"].key_variable


def _headers(settings: CompatibleSettings) -> list[tuple[str, str]]:
    headers = []
    if settings.api_key:
        headers.append(("authorization", f"Bearer {settings.api_key}"))
    if isinstance(settings, OpenAISettings):
        if settings.organization:
            headers.append(("openai-organization", settings.organization))
        if settings.project:
            headers.append(("openai-project", settings.project))
    return headers


@cache
def _backend_of(name: str) -> type[CompatibleBackend]:
    preset = PRESETS[name]
    fields = {
        "__doc__": f"Serves one model of {preset.title}.",
        "__module__": __name__,
        "preset": preset,
        "key_variable": preset.key_variable,
    }
    return type(f"{name.title().replace('_', '')}Backend", (CompatibleBackend,), fields)


def __getattr__(name: str) -> type[CompatibleBackend]:
    """The backend of a preset, as entry points ask for it."""
    if name == "openai":
        return OpenAIBackend
    if name in PRESETS:
        return _backend_of(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
