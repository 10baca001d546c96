"""AWS Bedrock: the wire of its Converse API, and the backend."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.bedrock.errors import error_of
from headrace.models.bedrock.request import body_of, is_forced_json
from headrace.models.bedrock.settings import BedrockSettings, credentials_of, in_region
from headrace.models.bedrock.sigv4 import Credentials, host_of, signed_headers
from headrace.models.bedrock.stream import ConverseReader, deltas_of_converse
from headrace.models.dialect.counting import CountingBackend
from headrace.models.dialect.reading import read_json
from headrace.models.errors import DeploymentMisconfigured, NotOffered
from headrace.models.progress import Progress
from headrace.models.remote import Reader, RemoteBackend, Request
from headrace.types import Delta, Message, Params, TextKind

__all__ = ["BedrockBackend", "BedrockWire"]

_PROFILE = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|global)\.")
"""How the ids of inference profiles begin, before the model's own."""
_COUNTED_FIELDS = ("messages", "system", "toolConfig")


class _Counted(msgspec.Struct):
    tokens: int = msgspec.field(name="inputTokens")


class _Lifecycle(msgspec.Struct, rename="camel"):
    end_of_life_time: str | float | None = None


class _Model(msgspec.Struct, rename="camel"):
    model_id: str
    model_lifecycle: _Lifecycle = msgspec.field(default_factory=_Lifecycle)


class _Models(msgspec.Struct, rename="camel"):
    model_summaries: list[_Model] = []


class BedrockWire:
    """The Converse API. Requests are signed here, since only their final bytes can be.

    Args:
        settings: with region and address filled in.
        credentials: an access key to sign with, or an API key.
        clock: Unix time, which signatures contain.
    """

    def __init__(
        self,
        settings: BedrockSettings,
        credentials: Credentials | str | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._host = host_of(settings.base_url)
        self._base_path = urlsplit(settings.base_url).path.rstrip("/")
        self._further = [
            (name, value)
            for name, value in settings.headers.items()
            if name.lower().startswith("x-amz-")
        ]
        # Colons and slashes of ids and ARNs are part of the name.
        self._model = f"/model/{quote(settings.model, safe='')}"

    def generate(self, call: Call) -> Request:
        """`POST /model/…/converse`, or `converse-stream`.

        Raises:
            InvalidRequest: the protocol has no words for what is asked.
            DeploymentMisconfigured: there are no credentials.
        """
        verb = "converse-stream" if call.stream else "converse"
        return self._request("POST", f"{self._model}/{verb}", body_of(call, self._settings))

    def reader(self, call: Call) -> Reader:
        return ConverseReader(model=self._settings.model, forced_json=is_forced_json(call.params))

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        return deltas_of_converse(
            body, model=self._settings.model, forced_json=is_forced_json(call.params)
        )

    def embed(self, inputs: Sequence[str], kind: TextKind | None) -> Request:
        del inputs, kind
        raise NotOffered(
            "Bedrock's Converse API has no embeddings",
            hint="name a model of another provider",
            param="model",
        )

    def embeddings(self, body: bytes) -> Embeddings:
        raise ModelUnavailable("Bedrock's Converse API has no embeddings")

    def count(self, messages: Sequence[Message]) -> Request:
        """`POST /model/…/count-tokens`."""
        body = body_of(Call(messages, Params()), self._settings)
        converse = {name: body[name] for name in _COUNTED_FIELDS if name in body}
        # Inference profiles have no counter, the models behind them have.
        model = _PROFILE.sub("", self._settings.model)
        path = f"/model/{quote(model, safe='')}/count-tokens"
        return self._request("POST", path, {"input": {"converse": converse}})

    def counted(self, body: bytes) -> int:
        return read_json(body, _Counted, "Bedrock").tokens

    def list(self) -> Request | None:
        """`GET /foundation-models`, which another host answers: `control_url`."""
        return self._request("GET", "/foundation-models")

    def listed(self, body: bytes) -> Sequence[ListedModel]:
        return [
            ListedModel(
                id=each.model_id, shutdown_date=_date(each.model_lifecycle.end_of_life_time)
            )
            for each in read_json(body, _Models, "Bedrock").model_summaries
        ]

    def error_of(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadraceError:
        model = self._settings.model
        return error_of(status, headers, body, model=model, now=self._clock())

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None:
        """Bedrock tells nobody how much is left."""
        del headers
        return None

    def _request(self, method: str, path: str, body: object = None) -> Request:
        data = b"" if body is None else msgspec.json.encode(body)
        if self._credentials is None:
            raise DeploymentMisconfigured(
                f"there are no AWS credentials for {self._settings.model!r}",
                hint="set access_key_id and secret_access_key, or api_key, or AWS's own variables",
            )
        if isinstance(self._credentials, str):
            headers = [("authorization", f"Bearer {self._credentials}")]
            return Request(path, data, headers, method)
        headers = signed_headers(
            self._credentials,
            method=method,
            host=self._host,
            path=self._base_path + path,
            body=data,
            region=self._settings.aws_region or "",
            service="bedrock",
            now=self._clock(),
            headers=self._further,
        )
        return Request(path, data, headers, method)


class BedrockBackend(CountingBackend):
    """Serves one model that AWS hosts."""

    provider = "aws.bedrock"
    Settings = BedrockSettings

    def __init__(
        self,
        settings: BedrockSettings,
        *,
        name: str,
        root: Path,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del root, home
        self._located: DeploymentMisconfigured | BedrockSettings
        try:
            self._located = settings = in_region(settings, environ)
        except DeploymentMisconfigured as error:
            # Said when the service starts: a file may be checked where no AWS region is set.
            self._located = error
        self._credentials = credentials_of(settings, environ)
        self._clock = clock
        self._converse = BedrockWire(settings, self._credentials, clock=clock)
        super().__init__(settings, self._converse, name=name)

    async def start(self, progress: Progress | None = None) -> None:
        """Nothing is asked of AWS yet.

        Raises:
            DeploymentMisconfigured: the region is not known.
        """
        if isinstance(self._located, DeploymentMisconfigured):
            raise self._located
        await super().start(progress)

    async def listed(self) -> Sequence[ListedModel]:
        """The foundation models of the region, as its control plane lists them."""
        if isinstance(self._located, DeploymentMisconfigured):
            raise self._located
        settings = msgspec.structs.replace(self._located, base_url=self._located.control_url)
        wire = BedrockWire(settings, self._credentials, clock=self._clock)
        control = RemoteBackend(settings, wire, name=self._name)
        await control.start()
        try:
            return await control.listed()
        finally:
            await control.stop()

    def count_request(self, messages: Sequence[Message]) -> Request:
        return self._converse.count(messages)

    def counted(self, body: bytes) -> int:
        return self._converse.counted(body)


def _date(time_or_text: str | float | None) -> str | None:
    if isinstance(time_or_text, float | int):
        return datetime.fromtimestamp(time_or_text, UTC).date().isoformat()
    return time_or_text[:10] if time_or_text else None
