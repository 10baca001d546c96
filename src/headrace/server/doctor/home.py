"""The home folder: ours, and nobody else's to read."""

import os
import stat
from collections.abc import Iterator

from headrace.access.keys import ADMIN_KEY_FILE
from headrace.privacy.master import MASTER_KEY_FILE
from headrace.server.doctor.result import Result, fail, ok, warn
from headrace.server.doctor.site import Site
from headrace.server.state import DATABASE_FILE, JOURNAL_FILE

__all__ = ["check_home"]

SECRETS = (MASTER_KEY_FILE, ADMIN_KEY_FILE)
STATE = (DATABASE_FILE, f"{DATABASE_FILE}-wal", JOURNAL_FILE)


def check_home(site: Site) -> Iterator[Result]:
    """Who may read and write the state."""
    home = site.home
    if not home.exists():
        yield from _new(site)
        return
    if not home.is_dir():
        yield fail("home", f"{home} is not a folder", hint="move it away, or set HEADRACE_HOME")
        return
    problems = list(_owner(site))
    if stat.S_IMODE(home.stat().st_mode) & 0o077:
        problems.append(warn("home", f"other users may enter {home}", hint=f"chmod 700 {home}"))
    for name in (*SECRETS, *STATE):
        path = home / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            say = fail if name in SECRETS else warn
            problems.append(say("home", f"other users may read {path}", hint=f"chmod 600 {path}"))
    yield from problems or [ok("home", f"{home}, for this user alone")]


def _new(site: Site) -> Iterator[Result]:
    parent = site.home.parent
    while not parent.exists():
        parent = parent.parent
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        yield ok("home", f"{site.home}, made at the first start")
    else:
        yield fail(
            "home",
            f"{site.home} cannot be made: {parent} is not writable",
            hint="make it writable, or point HEADRACE_HOME to another folder",
        )


def _owner(site: Site) -> Iterator[Result]:
    owner = site.home.stat().st_uid
    if owner != os.geteuid():
        yield fail(
            "home",
            f"{site.home} belongs to another user (uid {owner})",
            hint=f"run headrace as that user, or: sudo chown -R {os.geteuid()} {site.home}",
        )
    elif not os.access(site.home, os.R_OK | os.W_OK | os.X_OK):
        yield fail("home", f"{site.home} is not writable", hint=f"chmod 700 {site.home}")
