"""The rollout of a release: loaded beside what is served, given more turns from stage to stage.

Its state is in `serving.json` alone, so a service that is killed goes on with it where it was. What
breaks a rule is rolled back at once; what keeps them all through the last stage is what is served.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError
from headrace.pipeline.service import Candidate, Platform, Service
from headrace.pipeline.shadow import Shadow
from headrace.releases.channel import (
    PRODUCTION,
    Canary,
    Serving,
    moving,
    read_serving,
    write_serving,
)
from headrace.releases.evidence import Finding, look
from headrace.releases.store import ReleaseStore
from headrace.releases.watch import Rule
from headrace.server.knowledge import retire
from headrace.server.load import ServiceLoader

__all__ = ["LEAST_TURNS", "Rollout"]

LOOK_EVERY_S = 0.5
JUDGE_EVERY_S = 2.0
LEAST_TURNS = 20
"""A stage does not end before the release has answered so many turns in it."""

_log = logging.getLogger(__name__)


class Rollout:
    """Sees to the release that is on trial, if one is."""

    def __init__(
        self,
        platform: Platform,
        loader: ServiceLoader,
        *,
        judges: bool = True,
        clock: Callable[[], float] = time.time,
        least_turns: int = LEAST_TURNS,
    ) -> None:
        """
        Args:
            judges: decide what becomes of it. Of several processes of a home one does, and the others
                load it and share out.
        """
        self._judges = judges
        self._platform = platform
        self._loader = loader
        self._clock = clock
        self._least_turns = least_turns
        self._home = loader.home
        self._store = ReleaseStore(platform.database, loader.home, audit=platform.audit)
        self._judged_at = 0.0
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Do what is due: load, share out, judge, go on or go back."""
        serving = await asyncio.to_thread(read_serving, self._home)
        canary = None if serving is None else serving.canary
        candidate = self._platform.candidate
        if candidate is not None and (canary is None or candidate.trial != canary.id):
            if canary is None and self._is_coming(candidate, serving):
                # Promoted, and about to be what everybody loads: until then it has all turns.
                self._platform.candidate = replace(candidate, share=1.0)
                return
            self._drop(candidate)
            candidate = None
        if canary is None:
            return
        if candidate is None:
            await self._load(canary)
            return
        if candidate.share != canary.share:
            self._platform.candidate = replace(candidate, share=canary.share)
        if self._judges and self._clock() - self._judged_at >= JUDGE_EVERY_S:
            self._judged_at = self._clock()
            await self._judge(canary)

    def _drop(self, candidate: Candidate) -> None:
        self._platform.candidate = None
        if candidate.shadow is not None:
            candidate.shadow.stop()
        self._retire(candidate.service)

    def _retire(self, service: Service, *, unused: bool = False) -> None:
        """In a task of its own: it waits for answers that stream, and the next trial must not."""
        task = asyncio.create_task(retire(self._platform.service, service, unused=unused))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _is_coming(self, candidate: Candidate, serving: Serving | None) -> bool:
        """Whether what was on trial is served from now on, and not loaded as that yet."""
        return (
            candidate.shadow is None
            and serving is not None
            and candidate.folder == Path(serving.folder)
            and self._platform.service.release != candidate.service.release
        )

    async def _load(self, canary: Canary) -> None:
        platform = self._platform
        try:
            service = await self._loader.load(
                reuse=platform.service.models, root=Path(canary.folder)
            )
        except HeadraceError as error:
            if self._judges:
                await asyncio.to_thread(self._end, canary, f"it cannot be loaded: {error.message}")
            return
        serving = await asyncio.to_thread(read_serving, self._home)
        if serving is None or serving.canary is None or serving.canary.id != canary.id:
            self._retire(service, unused=True)  # ended while it was loaded
            return
        platform.candidate = Candidate(
            service=service,
            folder=Path(canary.folder),
            share=canary.share,
            trial=canary.id,
            shadow=(
                Shadow(service.pipeline, platform.metrics.shadow_skipped)
                if canary.is_shadow
                else None
            ),
        )
        if not canary.since and self._judges:
            now = self._clock()
            begun = msgspec.structs.replace(canary, since=now, began=now)
            await asyncio.to_thread(self._write, canary, begun)
        how = "answers copies of" if canary.is_shadow else "is on trial with"
        _log.info("%s %s %g %% of the turns", canary.name, how, 100 * canary.share)

    async def _judge(self, canary: Canary) -> None:
        await self._platform.flush()
        rules = [Rule.parse(each) for each in canary.watch]
        database = self._platform.database
        _, whole = await asyncio.to_thread(look, database, canary.behaviour, canary.began, rules)
        broken = [each for each in whole if each.is_broken]
        if broken:
            await asyncio.to_thread(self._end, canary, _said(broken))
            return
        if self._clock() - canary.since < canary.every_s:
            return
        turns, _ = await asyncio.to_thread(look, database, canary.behaviour, canary.since, ())
        if turns < self._least_turns:
            return
        if canary.stage + 1 < len(canary.shares):
            further = msgspec.structs.replace(canary, stage=canary.stage + 1, since=self._clock())
            await asyncio.to_thread(self._write, canary, further)
            _log.info("%s gets %g %% of the turns now", canary.name, 100 * further.share)
        elif canary.is_shadow:
            await asyncio.to_thread(self._passed, canary, turns, _said(whole))
        else:
            await asyncio.to_thread(self._promote, canary, _said(whole))

    def _write(self, before: Canary, now: Canary | None) -> bool:
        """Change the canary, unless somebody else has changed it meanwhile."""
        with moving(self._home):
            serving = read_serving(self._home)
            if serving is None or serving.canary != before:
                return False
            write_serving(self._home, msgspec.structs.replace(serving, canary=now))
            return True

    def _end(self, canary: Canary, why: str) -> None:
        """Back to what was served all along."""
        ended = "failed in the shadow" if canary.is_shadow else "was rolled back"
        if self._write(canary, None):
            serving = read_serving(self._home)
            digest = "" if serving is None else serving.release
            self._store.move(
                PRODUCTION,
                digest,
                who="headrace",
                why=f"{canary.name} {ended}: {why}",
                action="release.trial_end",
            )
            _log.error("%s %s: %s", canary.name, ended, why)

    def _passed(self, canary: Canary, turns: int, why: str) -> None:
        """A shadow has answered long enough. What is served stays what it was."""
        if self._write(canary, None):
            serving = read_serving(self._home)
            digest = "" if serving is None else serving.release
            said = f"{canary.name} passed {turns:,} turns in the shadow: {why}"
            self._store.move(
                PRODUCTION, digest, who=canary.who, why=said, action="release.trial_end"
            )
            _log.info("%s", said)

    def _promote(self, canary: Canary, why: str) -> None:
        with moving(self._home):
            serving = read_serving(self._home)
            if serving is None or serving.canary != canary:
                return
            write_serving(
                self._home,
                Serving(release=canary.release, name=canary.name, folder=canary.folder),
            )
            self._store.move(
                PRODUCTION,
                canary.release,
                who=canary.who,
                why=f"passed its stages: {why}",
                action="release.promote",
            )
        _log.info("%s is served: it passed its stages", canary.name)


def _said(findings: list[Finding]) -> str:
    return "; ".join(map(str, findings)) or "nothing was watched"
