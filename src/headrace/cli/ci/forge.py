"""The comment on a pull request (GitHub) or merge request (GitLab): one, brought up to date.

Only a comment that the token's own account wrote is ever changed: anybody can write the mark. Who that
is, a forge is asked; one that does not say gets a new comment.

Sources: GitHub REST API, "Issue comments", and GraphQL API, `viewer` (the one that answers the token of
a workflow too); GitLab REST API v4, "Notes" and "Users". Where the run stands is read from the
variables that both set.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import httpx
import msgspec

from headrace.cli.ci.table import MARK
from headrace.errors import ConfigError, HeadraceError

__all__ = ["CommentFailed", "Thread", "thread"]

T = TypeVar("T")

_TIMEOUT_S = 20.0
_PAGE = 100


class CommentFailed(HeadraceError):
    """The forge did not take the comment."""

    code = "comment_failed"


class _Account(msgspec.Struct, frozen=True):
    """Of GitHub by its `login`, of GitLab by its `id`."""

    login: str = ""
    id: int = 0


class _Comment(msgspec.Struct, frozen=True):
    """`user` is what GitHub calls who wrote it, `author` what GitLab does; none: the account is gone."""

    id: int
    body: str | None = ""
    user: _Account | None = None
    author: _Account | None = None


class _Data(msgspec.Struct, frozen=True):
    viewer: _Account | None = None


class _Reply(msgspec.Struct, frozen=True):
    """GitHub's GraphQL."""

    data: _Data | None = None


class Whose(Protocol):
    """How a forge names accounts."""

    def account(self, client: httpx.Client) -> str:
        """Whose the token is; empty: the forge does not say."""

    def author(self, comment: _Comment) -> str:
        """Who wrote it; empty: nobody any more."""


@dataclass(frozen=True, slots=True)
class _OnGitHub:
    graphql: str

    def account(self, client: httpx.Client) -> str:
        reply = client.post(self.graphql, json={"query": "{viewer{login}}"})
        found = _answered(reply, _Reply) or _Reply()
        return found.data.viewer.login if found.data and found.data.viewer else ""

    def author(self, comment: _Comment) -> str:
        return "" if comment.user is None else comment.user.login


@dataclass(frozen=True, slots=True)
class _OnGitLab:
    user: str

    def account(self, client: httpx.Client) -> str:
        found = _answered(client.get(self.user), _Account)
        return str(found.id) if found is not None and found.id else ""

    def author(self, comment: _Comment) -> str:
        return "" if comment.author is None else str(comment.author.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where comments of one change go."""

    comments: str
    """URL of all of them."""
    comment: str
    """URL of one, with `{id}`."""
    headers: Mapping[str, str]
    update: str
    """The method that changes one."""
    whose: "Whose"
    """Who the token is, and who wrote a comment."""

    def say(self, text: str) -> str:
        """Write the comment, or bring an earlier one up to date; gives its page, if it has one.

        Raises:
            CommentFailed: it was not taken.
        """
        try:
            with httpx.Client(headers=dict(self.headers), timeout=_TIMEOUT_S) as client:
                known = self._own(client)
                if known is None:
                    reply = client.post(self.comments, json={"body": text})
                else:
                    url = self.comment.format(id=known)
                    reply = client.request(self.update, url, json={"body": text})
                reply.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise CommentFailed(
                f"the comment was refused: {error.response.status_code} at {error.request.url.path}",
                hint="the token needs to write comments: `permissions: pull-requests: write` on "
                "GitHub, a project token with `api` on GitLab",
            ) from error
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise CommentFailed(f"the comment was not sent: {error}") from error
        return str(reply.json().get("html_url", ""))

    def _own(self, client: httpx.Client) -> int | None:
        """The comment that an earlier run wrote as the same account."""
        account = self.whose.account(client)
        if not account:
            return None
        written = (e for e in self._all(client) if (e.body or "").startswith(MARK))
        return next((e.id for e in written if self.whose.author(e) == account), None)

    def _all(self, client: httpx.Client) -> Iterator["_Comment"]:
        page = 1
        while True:
            reply = client.get(self.comments, params={"per_page": _PAGE, "page": page})
            reply.raise_for_status()
            found = msgspec.json.decode(reply.content, type=list[_Comment])
            yield from found
            if len(found) < _PAGE:
                return
            page += 1


def thread(environ: Mapping[str, str]) -> Thread:
    """The change that this run is for.

    Raises:
        ConfigError: the run is for none, or has no token.
    """
    if environ.get("GITHUB_ACTIONS"):
        return _github(environ)
    if environ.get("GITLAB_CI"):
        return _gitlab(environ)
    raise ConfigError(
        "--comment works in GitHub Actions and GitLab CI only",
        hint="--markdown FILE writes the same text to a file",
    )


def _github(environ: Mapping[str, str]) -> Thread:
    found = re.fullmatch(r"refs/pull/(\d+)/\w+", environ.get("GITHUB_REF", ""))
    if found is None:
        raise ConfigError("--comment: this run is for no pull request", hint="on: pull_request")
    token = _token(environ, "GITHUB_TOKEN", "env: GITHUB_TOKEN: ${{ github.token }}")
    base = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}/issues"
    return Thread(
        comments=f"{base}/{found[1]}/comments",
        comment=f"{base}/comments/{{id}}",
        headers={
            "authorization": f"Bearer {token}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
        },
        update="PATCH",
        whose=_OnGitHub(
            environ.get("GITHUB_GRAPHQL_URL") or f"{environ['GITHUB_API_URL']}/graphql"
        ),
    )


def _gitlab(environ: Mapping[str, str]) -> Thread:
    number = environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        raise ConfigError(
            "--comment: this run is for no merge request",
            hint="rules: if: $CI_PIPELINE_SOURCE == 'merge_request_event'",
        )
    token = _token(environ, "GITLAB_TOKEN", "a project access token with the scope `api`")
    base = f"{environ['CI_API_V4_URL']}/projects/{environ['CI_PROJECT_ID']}/merge_requests"
    notes = f"{base}/{number}/notes"
    return Thread(
        comments=notes,
        comment=f"{notes}/{{id}}",
        headers={"private-token": token},
        update="PUT",
        whose=_OnGitLab(f"{environ['CI_API_V4_URL']}/user"),
    )


def _answered(reply: httpx.Response, kind: type[T]) -> T | None:
    """What the forge said; None: it will not say."""
    if reply.is_client_error:
        return None
    reply.raise_for_status()
    return msgspec.json.decode(reply.content, type=kind)


def _token(environ: Mapping[str, str], name: str, hint: str) -> str:
    token = environ.get(name, "")
    if not token:
        raise ConfigError(f"--comment: {name} is not set", hint=hint)
    return token
