"""The same deployments as of the older protocol."""

from tests.models.openai.conftest import serve, upstream

__all__ = ["serve", "upstream"]
