"""The packages that run this Headrace: which, in which versions, and their wheels.

What is installed here is what goes along, so that what was tested is what runs elsewhere.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from headrace.releases.errors import BundleFailed

__all__ = ["Package", "fetch_wheels", "installed", "lock_text"]

ROOT = "headrace"
_MOST_S = 900
_LONGEST_LICENCE = 80
"""Characters; what is longer is the licence's text and not its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package."""

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    """Names of the packages that it needs, of those that are here."""
    folder: str = ""
    """Where it is built from, when it came from a folder and not from an index."""

    @property
    def purl(self) -> str:
        """Its package URL (ECMA-427)."""
        return f"pkg:pypi/{self.name}@{self.version}"


def installed() -> list[Package]:
    """Headrace and everything that it needs here, by name.

    Raises:
        BundleFailed: something that it needs is not installed.
    """
    found: dict[str, Package] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(ROOT, "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            known = distribution(name)
        except PackageNotFoundError:
            raise BundleFailed(
                f"{name} is needed and not installed here", hint=f"pip install {name}"
            ) from None
        needs = list(_needs(known, extra))
        before = found[name].needs if name in found else ()
        found[name] = Package(
            name=name,
            version=known.version,
            licence=_licence(known),
            needs=tuple(sorted({*before, *(each for each, _ in needs)})),
            folder=_folder(known),
        )
        waiting += needs
    return [found[name] for name in sorted(found)]


def fetch_wheels(packages: list[Package], folder: Path) -> dict[str, Path]:
    """Put a wheel of each into the folder; gives them by package.

    Raises:
        BundleFailed: one cannot be had as a wheel for this Python and machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "wanted.txt"
    listed.write_text("".join(f"{p.name}=={p.version}\n" for p in packages if not p.folder))
    _pip("download", "--only-binary", ":all:", "--requirement", str(listed), into=folder)
    listed.unlink()
    for package in packages:
        if package.folder:
            _pip("wheel", package.folder, into=folder)
    wheels = {_normal(path.name.split("-")[0]): path for path in sorted(folder.glob("*.whl"))}
    missing = [each.name for each in packages if each.name not in wheels]
    if missing:
        raise BundleFailed(f"there is no wheel of {', '.join(missing)} for this machine")
    return {each.name: wheels[each.name] for each in packages}


def lock_text(packages: list[Package], wheels: dict[str, Path]) -> str:
    """A requirements file that pins each by version and hash, for `pip install --require-hashes`."""
    lines = [
        f"{each.name}=={each.version} \\\n    --hash=sha256:{sha256_of(wheels[each.name])}\n"
        for each in packages
    ]
    return "".join(lines)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _needs(known: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """What it needs for one of its extras (empty: in any case), each with an extra of its own."""
    from packaging.requirements import Requirement

    for text in known.requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            for each in ("", *sorted(wanted.extras)):
                yield _normal(wanted.name), each


def _licence(known: Distribution) -> str:
    """An SPDX expression or a short name, as far as the package says."""
    said = known.metadata.get_all("License-Expression") or known.metadata.get_all("License") or [""]
    line = str(said[0]).strip().partition("\n")[0]
    if not line or len(line) > _LONGEST_LICENCE:
        marks = known.metadata.get_all("Classifier") or []
        found = [each.rpartition(" :: ")[2] for each in marks if str(each).startswith("License ::")]
        line = str(found[0]) if found else ""
    return line


def _folder(known: Distribution) -> str:
    origin = json.loads(known.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    return url.removeprefix("file://") if "dir_info" in origin else ""


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _pip(what: str, *more: str, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", what]
    target = "--dest" if what == "download" else "--wheel-dir"
    try:
        subprocess.run(  # noqa: S603  no shell, and a command of our own
            [*command, "--no-deps", target, str(into), *more],
            check=True,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        reason = next((e for e in said if e.startswith("ERROR")), said[-1] if said else "")
        raise BundleFailed(
            f"pip {what} failed: {reason.removeprefix('ERROR: ')}",
            hint="a bundle is made where packages can be had; --no-packages leaves them out",
        ) from error
    except subprocess.TimeoutExpired:
        raise BundleFailed(f"pip {what} took more than {_MOST_S} s") from None
