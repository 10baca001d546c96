"""`deploy`: a release is served, at once or on a share of the turns first."""

import time
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.cli.place import Place
from headrace.cli.release.place import deployer
from headrace.releases.channel import PRODUCTION, read_serving
from headrace.releases.store import ReleaseStore
from headrace.releases.watch import Rule
from headrace.server.state import running_service
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Deploy"]

LOOK_EVERY_S = 1.0


class DeploySettings(Settings, frozen=True):
    """What is served, and how it gets there; as the options of `headrace deploy`."""

    release: str
    """The release, such as `{{ steps.build.name }}`."""
    canary: list[Annotated[float, Meta(gt=0, le=100)]] = msgspec.field(default_factory=list)
    """Growing shares of the turns, in percent; empty: all at once."""
    every_s: Annotated[float, Meta(gt=0)] = 600.0
    """Seconds that each share lasts; it waits for 20 turns, too."""
    watch: list[str] = msgspec.field(default_factory=lambda: ["error_rate<1%"])
    """Rules: what breaks one is rolled back."""
    wait: bool = True
    """End with the canary, and fail if it was rolled back; else end once it has begun."""
    unproved: bool = False
    """Serve it although it has not passed the suites of `releases.gate`."""


class Deploy(Operation):
    """Serves a release from now on, or tries it on a share of the turns and sees how that ends."""

    Settings = DeploySettings
    returns: ClassVar[tuple[str, ...]] = ("release", "served")
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, DeploySettings)
        place = Place(context.root, context.home)
        database = context.database()
        releases = ReleaseStore(database, context.home, audit=place.audit(database))
        release = releases.get(settings.release)
        work = deployer(place, releases)
        if releases.serving(PRODUCTION) == release.digest:
            return {"release": release.name, "served": True}
        why = f"workflow {context.workflow}, run {context.run_id}"
        if not settings.canary:
            work.serve(release, who=context.who, why=why, is_unproved=settings.unproved)
            return {"release": release.name, "served": True}
        if running_service(context.home) is None:
            raise StepFailed(
                "a canary needs a running service", hint="start it with `headrace up`, then resume"
            )
        # Begun again after a kill, it may be on trial already.
        if not _is_on_trial(context, release.digest):
            shares = [each / 100 for each in settings.canary]
            rules = [Rule.parse(each) for each in settings.watch]
            work.try_out(
                release, shares, settings.every_s, rules,
                who=context.who, is_unproved=settings.unproved,
            )  # fmt: skip
        if not settings.wait:
            return {"release": release.name, "served": False}
        while _is_on_trial(context, release.digest):
            serving = read_serving(context.home)
            if serving is not None and serving.canary is not None:
                context.say(f"{release.name} gets {100 * serving.canary.share:g} % of the turns")
            time.sleep(LOOK_EVERY_S)
        if releases.serving(PRODUCTION) != release.digest:
            last = releases.moves(PRODUCTION, limit=1)
            raise StepFailed(f"{release.name} is not served: {last[0].why if last else 'ended'}")
        return {"release": release.name, "served": True}


def _is_on_trial(context: Context, digest: str) -> bool:
    serving = read_serving(context.home)
    return serving is not None and serving.canary is not None and serving.canary.release == digest
