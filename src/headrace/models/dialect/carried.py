"""What a provider wants back with a tool's result, carried on the call's id.

Models that think before they call a tool sign their thoughts, and want them back with the tool's
result. OpenAI's protocol has no place for that except the id of the call, which clients send back
as it is: `toolu_01__hra_eJyr…`. Nothing is kept here, so any gateway of many can go on with the
conversation, after a restart too. Another provider's wire takes the payload off again.
Decision: docs/decisions/0048-thoughts-ride-on-tool-calls.md.
"""

import base64
import binascii
import hashlib
import re
import zlib
from typing import Literal

__all__ = ["bare_id", "carry", "fitting_id", "payload_of"]

Mark = Literal["a", "b", "g"]
"""Whose payload it is: Anthropic's, Bedrock's, Gemini's."""

MAX_PAYLOAD_BYTES = 64 * 1024
"""Thoughts longer than this are not carried."""

_CARRIED = re.compile(r"__hr([abg])_([A-Za-z0-9_-]*)\Z")


def carry(call_id: str, mark: Mark, payload: bytes) -> str:
    """The id with a payload on it; only letters, digits, `_` and `-` are added."""
    packed = zlib.compress(payload, 9)
    if len(packed) > MAX_PAYLOAD_BYTES:
        return call_id
    return f"{call_id}__hr{mark}_{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def bare_id(call_id: str) -> str:
    """The id as its provider gave it."""
    return _CARRIED.sub("", call_id)


def payload_of(call_id: str, mark: Mark) -> bytes | None:
    """What the id carries of that provider's; None where there is nothing or it is damaged."""
    found = _CARRIED.search(call_id)
    if found is None or found[1] != mark:
        return None
    try:
        packed = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
        unpacker = zlib.decompressobj()
        payload = unpacker.decompress(packed, 4 * MAX_PAYLOAD_BYTES)
    except (binascii.Error, zlib.error, ValueError):
        return None
    return payload if unpacker.eof else None


def fitting_id(call_id: str, *, max_chars: int) -> str:
    """The bare id as a stricter provider takes it: letters, digits, `_` and `-`, not too long.

    Equal ids stay equal, so that a call and its result still belong together.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", bare_id(call_id))
    if plain and len(plain) <= max_chars:
        return plain
    return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"
