"""Somebody who asks for pages without a browser, and keys for them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from tests.running import ServiceProcess, wait_for

__all__ = ["Visitor", "Visits", "make_key", "status_of"]


@dataclass
class Visitor:
    """A client of the page that behaves as a browser does: keeps cookies, says where it is."""

    client: httpx.Client

    @classmethod
    def of(cls, service: ServiceProcess, *, address: str) -> "Visitor":
        """A new visitor; `address` is where they come from."""
        transport = httpx.HTTPTransport(local_address=address)
        client = httpx.Client(base_url=service.url, transport=transport, timeout=60)
        return cls(client)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=_dashed(headers))

    def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        same = {"sec-fetch-site": "same-origin"}
        return self.client.post(path, data=form, headers={**same, **_dashed(headers)})

    def sign_in(self, key: str) -> None:
        response = self.post("/sign-in", {"key": key, "next": "/"})
        assert response.status_code == 303, response.text


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


Visits: TypeAlias = Callable[[str], Visitor]
"""Makes a visitor who comes from an address."""


def make_key(service: ServiceProcess, name: str) -> tuple[str, str]:
    """A new key's id and secret, once the running service knows it."""
    made = json.loads(service.run("keys", "create", name, "--json").stdout)
    wait_for(lambda: status_of(service, made["secret"]) == 200)
    return made["id"], made["secret"]


def status_of(service: ServiceProcess, secret: str) -> int:
    """What the API says to this key."""
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{service.url}/v1/models", headers=headers).status_code
