"""What a commit changes, said before it is merged; the forge's side speaks its real protocol."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from headrace.cli.ci.forge import CommentFailed, thread
from headrace.cli.ci.table import MARK, _fenced, _text
from headrace.errors import ConfigError
from tests.gateway.conftest import REPOSITORY
from tests.running import HEADRACE

SERVICE = """\
models:
  scripted:
    deployments: [{backend: scripted}]
    params: {max_tokens: %s}
pipeline: [generate]
releases: {gate: [brevity]}
"""
SUITE = """\
cases:
  - {id: asked, input: what do you see?}
  - {id: again, input: and now?}
scorers:
  - {regex: {pattern: '"max_tokens": ?11'}}
gate: {scores: {regex: 1.0}}
"""


class Forge:
    """An API that keeps the comments of one pull request."""

    def __init__(self) -> None:
        self.notes: list[dict[str, object]] = [{"id": 1, "body": "looks good", **self.by(1)}]
        self.account = 7
        """Whose the token is; 0: the forge does not say."""
        self.seen: list[tuple[str, str, str]] = []
        self.refuses = False
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._note()
                if self.path == "/api/v4/user":
                    self._say(200 if forge.account else 401, {"id": forge.account})
                    return
                self._say(200, forge.notes if "page=1" in self.path else [])

            def do_POST(self) -> None:
                if self.path == "/graphql":
                    self._body()
                    login = f"mill-{forge.account}[bot]"
                    known = {"data": {"viewer": {"login": login}}}
                    self._say(200, known if forge.account else {"errors": [{"message": "no"}]})
                    return
                self._note()
                made = {
                    **self._body(),
                    **forge.by(forge.account),
                    "id": len(forge.notes) + 1,
                    "html_url": "https://f/1",
                }
                if not forge.refuses:
                    forge.notes.append(made)
                self._say(403 if forge.refuses else 201, made)

            def do_PATCH(self) -> None:
                self._note()
                number = int(self.path.rsplit("/", 1)[1])
                found = next(each for each in forge.notes if each["id"] == number)
                found.update(self._body())
                self._say(200, found)

            do_PUT = do_PATCH  # noqa: N815  the name is the library's

            def _note(self) -> None:
                token = self.headers.get("authorization") or self.headers.get("private-token")
                forge.seen.append((self.command, self.path.split("?")[0], token or ""))

            def _body(self) -> dict[str, object]:
                length = int(self.headers["content-length"])
                return dict(json.loads(self.rfile.read(length)))

            def _say(self, status: int, what: object) -> None:
                data = json.dumps(what).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def by(self, account: int) -> dict[str, object]:
        """Who wrote a comment, as GitHub and as GitLab say it."""
        return {"user": {"login": f"mill-{account}[bot]"}, "author": {"id": account}}

    def github(self) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "mill/bot",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_TOKEN": "t0ken",
        }

    def gitlab(self) -> dict[str, str]:
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.url}/api/v4",
            "CI_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_IID": "7",
            "GITLAB_TOKEN": "t0ken",
        }


@pytest.fixture
def forge() -> Iterator[Forge]:
    made = Forge()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service in a folder of a repository, with one commit."""
    site = tmp_path / "site" / "scripted_answers-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-answers\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    root = tmp_path / "repository" / "bot"
    (root / "evals").mkdir(parents=True)
    (root / "headrace.yaml").write_text(SERVICE % 11)
    (root / "evals" / "brevity.yaml").write_text(SUITE)
    (root / ".gitignore").write_text(".headrace\n")
    git(root.parent, "init", "-q")
    commit(root)
    return root


def git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    done = subprocess.run(
        ["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(root: Path) -> None:
    git(root.parent, "add", "-A")
    git(root.parent, "commit", "-q", "-m", "change")


def run(root: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(root.parent.parent / "site"), str(REPOSITORY)))
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GITHUB_", "GITLAB_", "CI_"))
    }
    return subprocess.run(
        [HEADRACE, "ci", *args],
        cwd=root,
        env={**bare, "PYTHONPATH": path, "HEADRACE_HOME": str(root / ".headrace"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_change_that_makes_answers_worse_is_said_and_stopped(folder: Path, forge: Forge) -> None:
    same = run(folder)
    assert same.returncode == 0, same.stderr
    assert "answers do not change" in same.stdout
    assert "| brevity | regex | – | 1.000 | – | – | 2 |" in same.stdout

    (folder / "headrace.yaml").write_text(SERVICE % 99)
    commit(folder)
    summary = folder.parent / "summary.md"
    worse = run(
        folder, "--base", "HEAD~1", "--comment", "--json",
        GITHUB_STEP_SUMMARY=str(summary), **forge.github(),
    )  # fmt: skip
    assert worse.returncode == 1, worse.stderr
    told = json.loads(worse.stdout)
    assert (told["passed"], told["same_behaviour"]) == (False, False)
    assert told["suites"][0]["before"] == {"regex": 1.0}
    comment = str(forge.notes[-1]["body"])
    assert comment == summary.read_text()
    assert comment.startswith(MARK)
    assert "gate failed" in comment
    assert "`headrace.yaml` changed, model `scripted` changed" in comment
    assert "| brevity | regex | 1.000 | 0.000 | -1.000 |" in comment
    assert "2 cases are worse than before" in comment
    assert "t0ken" not in worse.stdout + worse.stderr

    # The next push brings the same comment up to date.
    (folder / "headrace.yaml").write_text(SERVICE % 11)
    better = run(folder, "--base", "HEAD~1", "--comment", **forge.github())
    assert better.returncode == 0, better.stderr
    assert len(forge.notes) == 2
    assert "gate passed" in str(forge.notes[-1]["body"])
    paths = [f"/repos/mill/bot/issues/{each}" for each in ("7/comments", "comments/2")]
    assert forge.seen[-1] == ("PATCH", paths[1], "Bearer t0ken")
    assert ("POST", paths[0], "Bearer t0ken") in forge.seen


def test_what_cannot_be_compared_is_said(folder: Path, tmp_path: Path) -> None:
    unknown = run(folder, "--base", "nowhere")
    assert unknown.returncode == 1
    assert "there is no commit 'nowhere' here" in unknown.stderr
    # A service that is new has no base.
    git(folder.parent, "mv", "bot", "mill")
    git(folder.parent, "commit", "-q", "-m", "move")
    new = run(folder.parent / "mill", "--base", "HEAD~1")
    assert new.returncode == 0, new.stderr
    assert "the service is new" in new.stdout


def test_gitlab_gets_a_note(forge: Forge) -> None:
    said = thread(forge.gitlab())
    said.say(f"{MARK}\nfirst")
    said.say(f"{MARK}\nsecond")
    notes = "/api/v4/projects/42/merge_requests/7/notes"
    assert [each for each in forge.seen if each[0] != "GET"] == [
        ("POST", notes, "t0ken"),
        ("PUT", f"{notes}/2", "t0ken"),
    ]
    assert [each["body"] for each in forge.notes] == ["looks good", f"{MARK}\nsecond"]


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_comment_of_somebody_else_stays_as_it_is_whatever_it_begins_with(
    forge: Forge, kind: str
) -> None:
    theirs = {"id": 2, "body": f"{MARK}\nmine", **forge.by(3)}
    gone = {"id": 3, "body": f"{MARK}\ngone", "user": None, "author": None}
    forge.notes += [theirs, gone]
    said = thread(forge.github() if kind == "github" else forge.gitlab())
    said.say(f"{MARK}\nfirst")
    said.say(f"{MARK}\nsecond")
    wanted = ["looks good", f"{MARK}\nmine", f"{MARK}\ngone", f"{MARK}\nsecond"]
    assert [each["body"] for each in forge.notes] == wanted
    forge.account = 0  # not said: nothing is known to be ours
    said.say(f"{MARK}\nthird")
    assert [each["body"] for each in forge.notes] == [*wanted, f"{MARK}\nthird"]


def test_a_refusal_says_what_the_token_lacks(forge: Forge) -> None:
    forge.refuses = True
    with pytest.raises(CommentFailed, match="403") as failed:
        thread(forge.github()).say("x")
    assert "pull-requests: write" in failed.value.hint
    assert "t0ken" not in str(failed.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "GitHub Actions and GitLab CI only"),
        ({"GITHUB_ACTIONS": "1", "GITHUB_REF": "refs/heads/main"}, "no pull request"),
        ({"GITHUB_ACTIONS": "1", "GITHUB_REF": "refs/pull/1/merge"}, "GITHUB_TOKEN is not set"),
        ({"GITLAB_CI": "1"}, "no merge request"),
        ({"GITLAB_CI": "1", "CI_MERGE_REQUEST_IID": "1"}, "GITLAB_TOKEN is not set"),
    ],
)
def test_a_run_that_cannot_comment_says_so_before_it_works(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        thread(environ)


def test_an_answer_cannot_leave_its_block_nor_call_anybody() -> None:
    block = _fenced("+", "a\n````\n</details> @all")
    assert block[0] == "`````diff"
    assert block[-1] == "`````"
    assert "@" not in _text("ask @ann about <b>`x`</b>").replace("&#64;", "")
    assert _text("a|b\n# c") == "a\\|b \\# c"


def test_the_ready_files_call_what_there_is() -> None:
    folder = REPOSITORY / "examples" / "ci"
    github = yaml.safe_load((folder / "github.yml").read_text())
    steps = [each.get("run") for each in github["jobs"]["answers"]["steps"]]
    assert "headrace ci --comment" in steps
    gitlab = yaml.safe_load((folder / "gitlab.yml").read_text())
    assert "headrace ci --comment" in gitlab["headrace"]["script"]
