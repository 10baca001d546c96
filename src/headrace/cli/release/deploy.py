"""`headrace deploy` and `headrace rollback`: which release is served."""

import time

import click
import httpx

from headrace.access.keys import ADMIN_KEY_FILE
from headrace.cli.command import Command, json_option
from headrace.cli.place import Place, who
from headrace.cli.release.place import deployer, store
from headrace.cli.release.stage import Duration, Stages
from headrace.cli.terminal import print_json, print_table
from headrace.console.figure import as_moment
from headrace.errors import NotFound
from headrace.releases.channel import PRODUCTION
from headrace.releases.deploy import FILES
from headrace.releases.store import Move, Release
from headrace.releases.watch import Rule
from headrace.server.state import running_service

__all__ = ["deploy", "rollback"]

TAKE_OVER_S = 20.0


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE", required=False)
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@click.option(
    "--canary",
    "shares",
    type=Stages(),
    metavar="5,25,100",
    help="Give it such shares of the turns, in percent, one after the other; a person stays with one.",
)
@click.option(
    "--shadow",
    type=Stages(),
    metavar="20",
    help="Let it answer copies of such a share of the turns, in percent, which nobody sees.",
)
@click.option(
    "--every",
    "every_s",
    type=Duration(),
    default="10m",
    show_default=True,
    help="How long each stage lasts: 30s, 10m, 2h. It waits for 20 turns, too.",
)
@click.option(
    "--watch",
    default="error_rate<1%",
    show_default=True,
    help="Rules; what breaks one is rolled back: error_rate<1%, ttft_p95<0.5s, good_feedback>=80%.",
)
@click.option(
    "--unproved",
    is_flag=True,
    help="Serve it although it has not passed the suites of `releases.gate`; say --why.",
)
@click.option("--history", is_flag=True, help="Show what was served, newest first, and stop.")
@json_option
def deploy(
    name: str | None,
    why: str,
    shares: list[float] | None,
    shadow: list[float] | None,
    every_s: float,
    watch: str,
    unproved: bool,
    history: bool,
    as_json: bool,
) -> None:
    """Serve RELEASE from now on; `files` goes back to serving the folder's files.

    A service that runs here takes it over without dropping an answer: turns that began with the
    release before end with it. One that is started later serves it too. Everything that serving
    it needs is checked before. With --canary it is tried on a share of the turns first, and rolled
    back by itself when it breaks a rule of --watch; `headrace rollback` ends a trial at once. With --shadow
    it is watched alike and never served: the history says how it fared.
    """
    if history:
        _print_history(as_json=as_json)
        return
    if name is None:
        raise click.UsageError("name a release, such as r3; `headrace release list` shows them")
    if shares is not None and shadow is not None:
        raise click.UsageError("a trial is either --canary or --shadow")
    if unproved and not why:
        raise click.UsageError("--unproved is for the history to explain: say --why")
    with store() as (place, releases):
        release = None if name == FILES else releases.get(name)
        work = deployer(place, releases)
        if (stages := shares or shadow) is not None:
            if release is None:
                raise click.UsageError("only a release can be tried, not the folder's files")
            rules = [Rule.parse(each) for each in watch.split(",")]
            work.try_out(
                release,
                stages,
                every_s,
                rules,
                who=who(),
                is_shadow=shadow is not None,
                is_unproved=unproved,
            )
            _tell_trial(
                release, stages, every_s, rules, is_shadow=shadow is not None, as_json=as_json
            )
            if running_service(place.home) is None:
                click.echo("it begins once a service runs here: `headrace up`", err=True)
            return
        move = work.serve(release, who=who(), why=why, is_unproved=unproved)
    _tell(place, release, move, as_json=as_json)


@click.command(cls=Command)
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@json_option
def rollback(why: str, as_json: bool) -> None:
    """Serve again what was served before the present release."""
    with store() as (place, releases):
        work = deployer(place, releases)
        if (ended := work.end_trial(who=who(), why=why)) is not None:
            click.echo(f"{ended} is no longer on trial")
            return
        release, move = work.back(who=who(), why=why)
    _tell(place, release, move, as_json=as_json)


def _tell_trial(
    release: Release,
    shares: list[float],
    every_s: float,
    rules: list[Rule],
    *,
    is_shadow: bool,
    as_json: bool,
) -> None:
    if as_json:
        texts = [each.text for each in rules]
        told = {"release": release.digest, "shares": shares, "every_s": every_s, "watch": texts}
        told["shadow"] = is_shadow
        print_json(told)
        return
    stages = ", ".join(f"{100 * each:g} %" for each in shares)
    how = "answers copies of" if is_shadow else "is tried on"
    click.echo(
        f"{release.name} {how} {stages} of the turns, {every_s:g} s each, "
        f"watched for {', '.join(each.text for each in rules)}"
    )


def _tell(place: Place, release: Release | None, move: Move, *, as_json: bool) -> None:
    running = running_service(place.home)
    taken_over_s = None
    if running is not None and release is not None:
        taken_over_s = _taken_over(place, running.url, running.verify(), release)
    if as_json:
        print_json(
            {
                "channel": move.channel,
                "release": None if release is None else release.digest,
                "running": running is not None,
                "taken_over_s": taken_over_s,
            }
        )
        return
    what = "the folder's files" if release is None else f"{release.name} ({release.digest[:19]})"
    if running is None:
        click.echo(f"{what} will be served: `headrace up` starts the service")
    elif release is None or taken_over_s is not None:
        after = "" if taken_over_s is None else f" after {taken_over_s:.1f} s"
        click.echo(f"{what} is served{after}")
    else:
        click.echo(f"{what} is not served yet; the service's log says why", err=True)
        raise NotFound("the running service has not taken the release over", hint="see its log")


def _taken_over(place: Place, url: str, verify: object, release: Release) -> float | None:
    """How long it took until answers carried the release; None: they do not."""
    try:
        key = (place.home / ADMIN_KEY_FILE).read_text("utf-8").strip()
    except OSError:
        return 0.0  # nobody to ask as
    began = time.monotonic()
    with httpx.Client(
        base_url=url,
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
        verify=verify,  # type: ignore[arg-type]
        timeout=5.0,
    ) as client:
        while time.monotonic() - began < TAKE_OVER_S:
            try:
                reply = client.get("/v1/models")
            except httpx.HTTPError:
                return None
            if reply.status_code != httpx.codes.OK:
                return 0.0
            if reply.headers.get("x-headrace-release") == release.manifest.behaviour:
                return time.monotonic() - began
            time.sleep(0.05)
    return None


def _print_history(*, as_json: bool) -> None:
    with store() as (_, releases):
        moves = releases.moves(PRODUCTION)
        names = {each.digest: each.name for each in releases.all()}
    if as_json:
        print_json(moves)
        return
    columns = ["WHEN", "RELEASE", "WHO", "~WHY"]
    print_table(
        columns,
        [
            [as_moment(each.created_at), names.get(each.digest, FILES), each.who, each.why]
            for each in moves
        ],
    )
