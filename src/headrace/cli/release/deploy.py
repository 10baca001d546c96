"""`headrace deploy` and `headrace rollback`: which release is served."""

import getpass
import os
import time

import click
import httpx

from headrace.access.keys import ADMIN_KEY_FILE
from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.release.place import store
from headrace.cli.terminal import print_json, print_table
from headrace.console.figure import as_moment
from headrace.errors import NotFound
from headrace.releases.channel import PRODUCTION, Serving, write_serving
from headrace.releases.errors import UnknownRelease
from headrace.releases.store import Move, Release, ReleaseStore
from headrace.server.state import running_service

__all__ = ["deploy", "rollback"]

FILES = "files"
"""What `deploy` calls the folder's own files."""
TAKE_OVER_S = 20.0


@click.command(cls=Command)
@click.argument("name", metavar="RELEASE", required=False)
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@click.option("--history", is_flag=True, help="Show what was served, newest first, and stop.")
@json_option
def deploy(name: str | None, why: str, history: bool, as_json: bool) -> None:
    """Serve RELEASE from now on; `files` goes back to serving the folder's files.

    A service that runs here takes it over without dropping an answer: turns that began with the
    release before end with it. One that is started later serves it too. Everything that serving
    it needs is checked before.
    """
    if history:
        _print_history(as_json=as_json)
        return
    if name is None:
        raise click.UsageError("name a release, such as r3; `headrace release list` shows them")
    with store() as (place, releases):
        release = None if name == FILES else releases.get(name)
        move = _moved(place, releases, release, why)
    _tell(place, release, move, as_json=as_json)


@click.command(cls=Command)
@click.option("--why", default="", metavar="TEXT", help="For the history.")
@json_option
def rollback(why: str, as_json: bool) -> None:
    """Serve again what was served before the present release."""
    with store() as (place, releases):
        moves = releases.moves(PRODUCTION)
        now = moves[0].digest if moves else ""
        before = next((each.digest for each in moves if each.digest != now), None)
        if before is None and not now:
            raise UnknownRelease(
                "nothing was deployed that could be rolled back",
                hint="`headrace deploy RELEASE` serves one",
            )
        release = releases.get(before) if before else None
        move = _moved(place, releases, release, why or f"rolled back from {_name(releases, now)}")
    _tell(place, release, move, as_json=as_json)


def _moved(place: Place, releases: ReleaseStore, release: Release | None, why: str) -> Move:
    """Check it, write the move, tell whoever serves."""
    if release is None:
        move = releases.move(PRODUCTION, "", who=_who(), why=why)
        write_serving(place.home, None)
        return move
    folder = releases.unpacked(release, place.root)
    move = releases.move(PRODUCTION, release.digest, who=_who(), why=why)
    write_serving(
        place.home, Serving(release=release.digest, name=release.name, folder=str(folder))
    )
    return move


def _who() -> str:
    """Whoever is logged in: the command line has no key."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


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


def _name(releases: ReleaseStore, digest: str) -> str:
    return releases.get(digest).name if digest else FILES


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
