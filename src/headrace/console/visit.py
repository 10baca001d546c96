"""One request of a reader: who it is, in which language and theme, and how pages are made."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from headrace.access.principal import Principal
from headrace.console.asset import Assets
from headrace.console.attempt import SignInLimit
from headrace.console.figure import as_moment, as_percent, as_seconds, as_usd
from headrace.console.language import Catalogue, choose, load_catalogues
from headrace.console.session import Sessions
from headrace.errors import Unauthenticated
from headrace.pipeline.service import Platform

__all__ = ["LANGUAGE_COOKIE", "Console", "Visit"]

LANGUAGE_COOKIE = "headrace-language"
THEME_COOKIE = "headrace-theme"
"""Written by static/page.js."""
_THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages share for as long as the process lives."""

    platform: Platform
    sessions: Sessions
    limit: SignInLimit
    catalogues: dict[str, Catalogue]
    assets: Assets
    templates: jinja2.Environment

    @classmethod
    def open(cls, platform: Platform) -> "Console":
        assets = Assets()
        return cls(
            platform=platform,
            sessions=Sessions.open(platform.home),
            limit=SignInLimit(),
            catalogues=load_catalogues(),
            assets=assets,
            templates=_environment(assets),
        )


class Visit:
    """A request, with what every page needs to know about it."""

    def __init__(self, console: Console, request: Request) -> None:
        self.console = console
        self.request = request
        self.language = choose(
            console.catalogues,
            chosen=request.cookies.get(LANGUAGE_COOKIE, ""),
            accept=request.headers.get("accept-language", ""),
        )

    @property
    def platform(self) -> Platform:
        return self.console.platform

    @cached_property
    def signed_in(self) -> Principal | None:
        """Whom the session cookie names, as long as the key is valid."""
        cookie = self.request.cookies.get(self.console.sessions.cookie_name, "")
        key_id = self.console.sessions.key_id(cookie, now=time.time())
        return None if key_id is None else self.platform.keys.get(key_id)

    @property
    def principal(self) -> Principal:
        """Who is signed in.

        Raises:
            Unauthenticated: nobody.
        """
        if self.signed_in is None:
            raise Unauthenticated("nobody is signed in", hint="sign in with a key")
        return self.signed_in

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    def render(self, template: str, **values: object) -> str:
        """A template, in the reader's language."""
        theme = self.request.cookies.get(THEME_COOKIE, "")
        return self.console.templates.get_template(template).render(
            t=self.language,
            languages=self.console.catalogues,
            theme=theme if theme in _THEMES else "auto",
            is_fragment=self.is_fragment,
            **values,
        )

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A template as a response."""
        headers = {"vary": "cookie, accept-language, hx-request"}
        return HTMLResponse(self.render(template, **values), status, headers)


def _environment(assets: Assets) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = assets.address
    environment.filters["seconds"] = as_seconds
    environment.filters["usd"] = as_usd
    environment.filters["moment"] = as_moment
    environment.filters["percent"] = as_percent
    return environment
