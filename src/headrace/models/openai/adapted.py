"""A vLLM server's model with a LoRA adapter on it: loaded there when the server does not know it.

The server is asked for a model of the adapter's name. Where it has none (it was started anew, or
nobody has loaded it yet), it is told where the files lie, and asked again. It has to see the same
folder, and to run with `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True` and `--enable-lora`. Nothing is ever
unloaded: other gateways may be using it.

Source: vLLM, "LoRA Adapters", Dynamically serving LoRA Adapters: `/v1/load_lora_adapter`.
"""

import hashlib
from contextlib import aclosing
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError, InvalidRequest
from headrace.models.adapted import AdapterSource
from headrace.models.backend import Call
from headrace.models.errors import AdapterUnusable, DeploymentMisconfigured
from headrace.models.openai.backend import CompatibleBackend, CompatibleSettings
from headrace.models.openai.preset import PRESETS
from headrace.models.openai.relay import RelayTarget
from headrace.models.progress import Progress
from headrace.types import Deltas

__all__ = ["AdaptedVllmBackend", "AdaptedVllmSettings"]

_LOADED = ("already been loaded", "already loaded")


class AdaptedVllmSettings(
    CompatibleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A vLLM deployment's settings with an adapter."""

    adapter: AdapterSource


class AdaptedVllmBackend(CompatibleBackend):
    """Serves one adapter of a vLLM server. `settings.model` is the base's name there."""

    Settings = AdaptedVllmSettings
    preset = PRESETS["vllm"]

    def __init__(self, settings: AdaptedVllmSettings, *, name: str, root: Path, home: Path) -> None:
        path = Path(settings.adapter.reference.removeprefix("file:")).expanduser()
        self._folder = (root / path).resolve()
        self.adapter = settings.adapter.digest or _digest_of(self._folder)
        """What sits on the server's model: the registry's digest, or the SHA-256 of its files."""
        # By what it holds: another adapter under an old name would be answered from the old one.
        base, self._lora = settings.model, f"headrace-{self.adapter[-24:]}"
        fields = msgspec.structs.asdict(settings)
        del fields["adapter"]
        plain = CompatibleSettings(**{**fields, "model": self._lora})
        super().__init__(plain, name=name, root=root, home=home)
        served = f"{self.provider} {self.settings.base_url} {base}\n{self.adapter}"
        self.digest = hashlib.sha256(served.encode()).hexdigest()

    async def start(self, progress: Progress | None = None) -> None:
        """See `Backend`.

        Raises:
            AdapterUnusable: there is no folder with PEFT's files.
        """
        if not (self._folder / "adapter_config.json").is_file():
            raise AdapterUnusable(
                f"{self._folder} has no adapter_config.json",
                hint="vLLM loads PEFT's folder: adapter_config.json and adapter_model.safetensors",
            )
        await super().start(progress)

    async def generate(self, call: Call) -> Deltas:
        """See `Backend`.

        Raises:
            DeploymentMisconfigured: the server does not let adapters be loaded, or cannot load it.
        """
        try:
            async with aclosing(super().generate(call)) as deltas:
                async for delta in deltas:
                    yield delta
        except DeploymentMisconfigured:
            # Only before the first piece: a server that has begun knows its model.
            await self._load()
        else:
            return
        async with aclosing(super().generate(call)) as deltas:
            async for delta in deltas:
                yield delta

    def relay(self) -> RelayTarget | None:
        """None: whoever passes bytes on would not notice that the adapter has to be loaded."""
        return None

    async def _load(self) -> None:
        body = msgspec.json.encode({"lora_name": self._lora, "lora_path": str(self._folder)})
        request = self.wire.request("/load_lora_adapter", body)  # type: ignore[attr-defined]  # OpenAIWire's
        try:
            async with self._sent(request) as reply:
                await reply.read()
        except (DeploymentMisconfigured, InvalidRequest) as error:
            if not any(each in error.message for each in _LOADED):
                raise self._refused(error) from error

    def _refused(self, error: HeadraceError) -> DeploymentMisconfigured:
        return DeploymentMisconfigured(
            f"the vLLM server did not load the adapter of {self._name!r}: {error.message}",
            hint="run it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, where it "
            f"can read {self._folder}",
        )


def _digest_of(folder: Path) -> str:
    """Over the adapter's files; empty while they are not there."""
    found = hashlib.sha256()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        try:
            with (folder / name).open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        except OSError:
            return ""
    return found.hexdigest()
