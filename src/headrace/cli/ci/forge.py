"""The comment on a pull request (GitHub) or merge request (GitLab): one, brought up to date.

Sources: GitHub REST API, "Issue comments"; GitLab REST API v4, "Notes". Where the run stands is read
from the variables that both set.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx

from headrace.cli.ci.table import MARK
from headrace.errors import ConfigError, HeadraceError

__all__ = ["CommentFailed", "Thread", "thread"]

_TIMEOUT_S = 20.0
_PAGE = 100


class CommentFailed(HeadraceError):
    """The forge did not take the comment."""

    code = "comment_failed"


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

    def say(self, text: str) -> str:
        """Write the comment, or bring an earlier one up to date; gives its page, if it has one.

        Raises:
            CommentFailed: it was not taken.
        """
        try:
            with httpx.Client(headers=dict(self.headers), timeout=_TIMEOUT_S) as client:
                known = next(
                    (e for e in self._all(client) if str(e.get("body", "")).startswith(MARK)), None
                )
                if known is None:
                    reply = client.post(self.comments, json={"body": text})
                else:
                    url = self.comment.format(id=known["id"])
                    reply = client.request(self.update, url, json={"body": text})
                reply.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise CommentFailed(
                f"the comment was refused: {error.response.status_code} at {error.request.url.path}",
                hint="the token needs to write comments: `permissions: pull-requests: write` on "
                "GitHub, a project token with `api` on GitLab",
            ) from error
        except httpx.HTTPError as error:
            raise CommentFailed(f"the comment was not sent: {error}") from error
        return str(reply.json().get("html_url", ""))

    def _all(self, client: httpx.Client) -> Iterator[dict[str, object]]:
        page = 1
        while True:
            reply = client.get(self.comments, params={"per_page": _PAGE, "page": page})
            reply.raise_for_status()
            found = reply.json()
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
    )


def _token(environ: Mapping[str, str], name: str, hint: str) -> str:
    token = environ.get(name, "")
    if not token:
        raise ConfigError(f"--comment: {name} is not set", hint=hint)
    return token
