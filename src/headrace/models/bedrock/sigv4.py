"""Signing requests as AWS demands (Signature Version 4). Proved against botocore in the tests.

Not covered: what S3 does differently, signed query strings, chunked payloads.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

__all__ = ["Credentials", "host_of", "signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; temporary ones have a session token."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def host_of(url: str) -> str:
    """What the Host header says for a URL: the port only where it is not the usual one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if parts.port in (None, _USUAL_PORTS.get(parts.scheme)):
        return host
    return f"{host}:{parts.port}"


def signed_headers(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    body: bytes,
    region: str,
    service: str,
    now: float,
    headers: Sequence[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """The headers to add to a request, so that AWS knows who sent it.

    Args:
        host: the Host header, exactly as it will be sent.
        path: as it will be sent, escaped once, with the query if any.
        headers: further headers to sign (AWS wants all `x-amz-*` signed); not among the result.
        now: Unix time; AWS refuses one that is more than five minutes off.
    """
    at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", at)]
    if credentials.session_token is not None:
        added.append(("x-amz-security-token", credentials.session_token))
    names, canonical = _canonical(method, path, body, [("host", host), *headers, *added])
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{at}\n{scope}\n{hashed}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    authorization = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return [*added, ("authorization", authorization)]


def _canonical(
    method: str, target: str, body: bytes, headers: Sequence[tuple[str, str]]
) -> tuple[str, str]:
    """The names of the signed headers, and the request in its canonical form."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    path, _, query = target.partition("?")
    names = ";".join(sorted(values))
    lines = [
        method,
        # Escaped once on the wire, and once more to be signed: every service but S3 does so.
        quote(path or "/", safe="/~"),
        _canonical_query(query),
        *(f"{name}:{','.join(values[name])}" for name in sorted(values)),
        "",
        names,
        hashlib.sha256(body).hexdigest(),
    ]
    return names, "\n".join(lines)


def _canonical_query(query: str) -> str:
    """Sorted by name, then by value: not by the pair as text, where `=` counts as a letter."""
    if not query:
        return ""
    pairs = sorted(each.partition("=")[::2] for each in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)
