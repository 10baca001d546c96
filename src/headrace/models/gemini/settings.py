"""Settings of a deployment with `backend: gemini`."""

from typing import Literal

from headrace.models.remote import RemoteSettings

__all__ = ["GeminiSettings"]


class GeminiSettings(RemoteSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: gemini`."""

    base_url: str = "https://generativelanguage.googleapis.com/v1"
    """The API's address up to, not including, `/models/…`; aliases such as `gemini-flash-latest`
    are found at `…/v1beta` alone."""
    thinking: Literal["level", "budget"] = "level"
    """How `reasoning_effort` is said: as a `level` (Gemini 3 and later) or as a `budget` of tokens
    (Gemini 2.5)."""
