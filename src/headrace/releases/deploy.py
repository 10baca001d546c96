"""Changing what is served: at once, on trial, and back.

Whoever changes it holds the home's lock, so of two deployments at one time one is refused or comes
after the other. The file that a running service looks at is written last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.access.audit import Action
from headrace.ids import new_id
from headrace.releases.channel import (
    PRODUCTION,
    Canary,
    Serving,
    moving,
    read_serving,
    write_serving,
)
from headrace.releases.errors import ReleaseBusy, ReleaseUnproved, UnknownRelease
from headrace.releases.store import Move, Release, ReleaseStore
from headrace.releases.watch import Rule

__all__ = ["FILES", "Deployer", "Suites"]

FILES = "files"
"""What stands for the folder's own files where a release could be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """What a release must have passed."""

    names: Sequence[str]
    digests: dict[str, str]
    """Of those suites that lie in this folder: another version of them proves nothing."""

    def unproved(self, release: Release, store: ReleaseStore) -> list[str]:
        """Each suite that is not passed, and why."""
        found = {each.suite: each for each in store.attestations(release)}
        wrong: list[str] = []
        for name in self.names:
            proof = found.get(name)
            if proof is None:
                wrong.append(f"{name}: it was never asked")
            elif self.digests.get(name, proof.suite_digest) != proof.suite_digest:
                wrong.append(f"{name}: the suite has changed since it was asked")
            elif not proof.passed:
                wrong.append(f"{name}: {'; '.join(proof.breaches) or 'it failed'}")
        return wrong


class Deployer:
    """Changes what one home serves. Reads and writes files and the database: not for an event loop."""

    def __init__(
        self, store: ReleaseStore, root: Path, home: Path, suites: Callable[[], Suites]
    ) -> None:
        """
        Args:
            suites: asked only when a release has to prove something: going back needs no file of
                the folder.
        """
        self._store = store
        self._root = root
        self._home = home
        self._suites = suites

    def serve(
        self,
        release: Release | None,
        *,
        who: str,
        why: str,
        is_unproved: bool = False,
        action: Action = "release.serve",
    ) -> Move:
        """Serve a release from now on; None: the folder's files.

        Args:
            is_unproved: serve it although it has not passed its suites.
            action: what the audit log calls it.

        Raises:
            ReleaseInvalid: what serving it needs is missing or altered.
            ReleaseUnproved: it has not passed a suite that it must pass.
            ReleaseBusy: another one is on trial.
        """
        folder = None if release is None else self._checked(release, is_unproved=is_unproved)
        with moving(self._home):
            serving = read_serving(self._home)
            if serving is not None and serving.canary is not None:
                raise ReleaseBusy(
                    f"{serving.canary.name} is on trial",
                    hint="wait for its end, or end it first: `headrace rollback`",
                )
            move = self._store.move(
                PRODUCTION,
                "" if release is None else release.digest,
                who=who,
                why=why,
                action=action,
                # Going back to what was let through once is no exception that was made.
                is_unproved=is_unproved and action == "release.serve",
            )
            if release is None:
                write_serving(self._home, None)
            else:
                served = Serving(release=release.digest, name=release.name, folder=str(folder))
                write_serving(self._home, served)
            return move

    def try_out(
        self,
        release: Release,
        shares: list[float],
        every_s: float,
        rules: Sequence[Rule],
        *,
        who: str,
        is_shadow: bool = False,
        is_unproved: bool = False,
    ) -> None:
        """Put it on trial beside what is served.

        Args:
            is_shadow: it answers copies of turns, and nobody sees what it says. That needs no proof.

        Raises: as `serve`.
        """
        canary = Canary(
            release=release.digest,
            name=release.name,
            folder=str(self._checked(release, is_unproved=is_unproved or is_shadow)),
            behaviour=release.manifest.behaviour,
            shares=shares,
            every_s=every_s,
            watch=[each.text for each in rules],
            who=who,
            id=new_id(),
            is_shadow=is_shadow,
        )
        with moving(self._home):
            serving = read_serving(self._home) or Serving(release="", name=FILES, folder="")
            if serving.canary is not None:
                raise ReleaseBusy(
                    f"{serving.canary.name} is on trial already",
                    hint="wait for its end, or end it: `headrace rollback`",
                )
            if serving.release == release.digest:
                raise ReleaseBusy(f"{release.name} is served already")
            self._store.note_trial(
                release,
                who=who,
                why="in the shadow" if is_shadow else "",
                evidence={
                    "shares": shares,
                    "every_s": every_s,
                    "watch": canary.watch,
                    "before": serving.release,
                },
            )
            write_serving(self._home, msgspec.structs.replace(serving, canary=canary))

    def end_trial(self, *, who: str, why: str) -> str | None:
        """End the trial that runs; gives its release's name, None where none runs."""
        with moving(self._home):
            serving = read_serving(self._home)
            if serving is None or serving.canary is None:
                return None
            name = serving.canary.name
            write_serving(self._home, msgspec.structs.replace(serving, canary=None))
            why = why or f"the trial of {name} was ended"
            self._store.move(
                PRODUCTION, serving.release, who=who, why=why, action="release.trial_end"
            )
            return name

    def back(self, *, who: str, why: str) -> tuple[Release | None, Move]:
        """Serve again what was served before; gives it, None for the folder's files.

        It was let through once, so its suites are not asked for again.

        Raises:
            UnknownRelease: nothing was served before.
            ReleaseInvalid: what serving it needs is missing or altered.
        """
        moves = self._store.moves(PRODUCTION)
        serving = read_serving(self._home)
        now = "" if serving is None else serving.release
        before = next((each.digest for each in moves if each.digest != now), None)
        if before is None and not now:
            raise UnknownRelease(
                "nothing was deployed that could be rolled back",
                hint="`headrace deploy RELEASE` serves one",
            )
        release = self._store.get(before) if before else None
        left = self._store.get(now).name if now else FILES
        why = why or f"rolled back from {left}"
        return release, self.serve(
            release, who=who, why=why, is_unproved=True, action="release.rollback"
        )

    def _checked(self, release: Release, *, is_unproved: bool) -> Path:
        folder = self._store.unpacked(release, self._root)
        wrong = [] if is_unproved else self._suites().unproved(release, self._store)
        if wrong:
            raise ReleaseUnproved(
                f"{release.name} may not be served: {'; '.join(wrong)}",
                hint=f"`headrace release check {release.name}` asks its suites",
            )
        return folder
