"""Passwords and keys in the arguments of a command: `curl -u ann:…`, `mysql -p…`, `--password …`."""

import re
from collections.abc import Iterator

from headrace.screening.detectors.assigned_secret import is_secret
from headrace.screening.finding import Span

__all__ = ["CommandPasswordDetector"]

_LETTER = r"[A-Za-z0-9!@#$%^&*_+\-./~?=,:]"
_VALUE = rf"(?P<value>(?!-){_LETTER}{{6,256}}+)(?![(\[{{<])"
_BEGUN = rf"(?P<value>(?!-){_LETTER}{{0,256}}+)\Z"
_LONG = (
    r"-(?i:-?(?:[a-z]{1,16}-){0,4}(?:(?P<password>passw(?:or)?d|passphrase|pass|pwd)|token|secret|key))"
    r"(?:[ \t]{1,3}|=)[\"']?"
)
"""Whatever the command: an option that says what it takes."""
_SHORT = r"-(?P<short>[pPaw])(?P<gap>[ \t]{0,3})[\"']?"
_USER = (
    r"-(?:(?P<user>[uUa])[ \t]{0,3}|(?P<longer>-user|-proxy-user|-auth)(?:[ \t]{1,3}|=))[\"']?"
    r"(?!-)[^\s:%,\"'@/$]{1,64}[:%]"
)
"""A user's name stands in front."""
_LEAD = rf"(?<=\s)(?:{_USER}|{_LONG}|{_SHORT})"
_OPTION = re.compile(_LEAD + _VALUE)
_OPEN = re.compile(_LEAD + _BEGUN)
_LONGEST_LEAD = 100
_WINDOW = _LONGEST_LEAD + 260
_COMMAND_LEAD = r"(?<![A-Za-z0-9_.\-])"
_OF_USER = re.compile(_COMMAND_LEAD + r"(?:curl|wget|https?|xh|smbclient|rpcclient)(?![\w:.\-])")
_OF_SHORT = {
    "p": re.compile(
        _COMMAND_LEAD
        + r"(?:(?:mysql|mariadb)(?:-?(?:dump|admin|check|import|show|pump))?|mycli|sshpass"
        r"|mongo(?:sh|dump|restore|export|import)?|7za?"
        r"|(?:docker|podman|nerdctl|buildah|skopeo|helm registry|oc|az|cf)\b[^\n|;&]{0,40}?\blogin)(?![\w.])"
    ),
    "P": re.compile(_COMMAND_LEAD + r"(?:sqlcmd|bcp|zip|unzip)(?![\w.])"),
    "a": re.compile(_COMMAND_LEAD + r"(?:redis|valkey)-cli(?![\w.])"),
    "w": re.compile(_COMMAND_LEAD + r"ldap[a-z]{3,8}(?![\w.])"),
}
"""Which commands take a password by an option of one letter."""
_ENDS = re.compile(r"[\n|;]|&&")
_REACH = 120
"""Characters before an option in which its command stands."""
_GLUED = re.compile(r"mysql|mariadb|mycli|7za?")
"""Their `-p` takes what follows without a gap; behind one stands a database or a file."""


class CommandPasswordDetector:
    """Finds what `--password`, `--token` and the like are given, and the one-letter options for a
    password of curl, wget, mysql, sshpass, redis-cli, mongo, `docker login`, ldapsearch and others.

    A password has six characters with a digit or sign, a key sixteen that look random, as in
    `assigned_secret`. Does not catch: passwords of plain words, with spaces, or given to commands
    that are not named here by an option of one letter; a command more than 120 characters back.
    """

    name = "command_password"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 1
    window = _WINDOW
    wakes = (
        (r"\s-", "pPaw"),
        ("-(?i:passw)", "dD"),
        ("-(?i:passwor)", "dD"),
        ("-(?i:passphras)", "eE"),
        ("-(?i:pas)", "sS"),
        ("-(?i:pw)", "dD"),
        ("-(?i:toke)", "nN"),
        ("-(?i:secre)", "tT"),
        ("-(?i:ke)", "yY"),
    )
    """The last letters of options; behind a user's name stands a sign that is not plain."""

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - _LONGEST_LEAD)
        if text.find("-", at) < 0:
            return
        for match in _OPTION.finditer(text, at):
            begin = match.start("value")
            value = match["value"].rstrip(".,?:")
            if begin >= start and _takes(text, match) and _is_real(value, match):
                yield Span("secret", begin, begin + len(value))

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        at = max(0, start - _LONGEST_LEAD, size - _WINDOW)
        while match := _OPEN.search(text, at):
            begin = match.start("value")
            if begin >= start and _takes(text, match):
                return begin
            at = match.start() + 1
        return size


def _takes(text: str, match: re.Match[str]) -> bool:
    """Whether this is an option of a command that takes a password by it."""
    short = match["short"]
    if not (short or match["user"] or match["longer"]):
        return True
    before = text[max(0, match.start() - _REACH) : match.start()]
    line = _ENDS.split(before)[-1]
    command = (_OF_SHORT[short] if short else _OF_USER).search(line)
    if command is None:
        return False
    return short != "p" or not match["gap"] or not _GLUED.match(command[0])


def _is_real(value: str, match: re.Match[str]) -> bool:
    if value[:1] in "$%{":
        return False
    is_key = not (match["password"] or match["short"] or match["user"] or match["longer"])
    return is_secret(value, password=not is_key)
