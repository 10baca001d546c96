"""Where Azure's paths differ from OpenAI's.

With a dated `api_version` a deployment has a path of its own and its name stands for the model; with
`v1` paths and bodies are OpenAI's, and `model` names the deployment.

The content filter needs no code here: its results are read over, a prompt that it refuses is an
error with the code `content_filter` (openai/errors.py), an answer that it cuts ends with that finish
reason, and its first chunk, which has no choices, is one of many that have none.

Source: Azure OpenAI REST API reference, data plane inference.
"""

from urllib.parse import quote, urlencode

from headrace.models.openai.wire import OpenAIWire
from headrace.models.openai_responses.wire import ResponsesWire
from headrace.models.remote import Request

__all__ = ["V1", "AzureResponsesWire", "AzureWire", "path_of"]

V1 = "v1"
"""The API without dated versions (since August 2025)."""

_OF_A_DEPLOYMENT = frozenset({"/chat/completions", "/completions", "/embeddings"})


def path_of(path: str, deployment: str, api_version: str) -> str:
    """OpenAI's path as Azure has it, with the version."""
    if api_version == V1:
        return f"/openai/v1{path}"
    place = f"/deployments/{quote(deployment, safe='')}" if path in _OF_A_DEPLOYMENT else ""
    return f"/openai{place}{path}?{urlencode({'api-version': api_version})}"


class AzureWire(OpenAIWire):
    """Chat completions, bare completions and embeddings of a deployment."""

    api_version = V1

    def request(self, path: str, body: bytes = b"", *, method: str = "POST") -> Request:
        azure = path_of(path, self.site.model, self.api_version)
        return super().request(azure, body, method=method)


class AzureResponsesWire(AzureWire, ResponsesWire):
    """The responses protocol of a deployment."""
