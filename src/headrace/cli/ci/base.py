"""What a commit is compared with: the service as another commit has it."""

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.config.load import CONFIG_FILE
from headrace.errors import ConfigError, NotFound

__all__ = ["Commit", "base_of", "checkout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, as the caller named it."""

    name: str
    sha: str

    def __str__(self) -> str:
        return f"{self.name} ({self.sha[:9]})"


def base_of(environ: Mapping[str, str]) -> str:
    """What to compare with where nobody says: what the change is to be merged into, else HEAD."""
    if target := environ.get("GITHUB_BASE_REF"):
        return f"origin/{target}"
    return environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or "HEAD"


def checkout(root: Path, name: str, into: Path) -> Commit | None:
    """Put the service's folder as a commit has it into another; None: there was no service then.

    Raises:
        ConfigError: the folder is in no git repository.
        NotFound: there is no such commit here.
    """
    where = _git(root, "rev-parse", "--show-prefix")
    if where is None:
        raise ConfigError(
            f"{root} is in no git repository",
            hint="call this where the service is under version control",
        )
    prefix = where.decode().strip().rstrip("/")
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found is None:
        raise NotFound(
            f"there is no commit {name!r} here",
            hint="a shallow clone has one commit: fetch the base too (`fetch-depth: 0`)",
        )
    commit = Commit(name=name, sha=found.decode().strip())
    # From the top: in a folder below it git would look for that folder inside of the archive.
    top = Path((_git(root, "rev-parse", "--show-toplevel") or b"").decode().strip())
    archive = _git(top, "archive", "--format=tar", f"{commit.sha}:{prefix}")
    if archive is None:
        return None  # the folder was not there
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    return commit if (into / CONFIG_FILE).exists() else None


def _git(root: Path, *command: str) -> bytes | None:
    try:
        done = subprocess.run(  # noqa: S603  no shell
            ["git", *command],  # noqa: S607  whichever git the user has
            cwd=root,
            capture_output=True,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except FileNotFoundError:
        raise ConfigError("git is not installed here", hint="install git") from None
    return done.stdout if done.returncode == 0 else None
