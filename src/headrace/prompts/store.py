"""Every version of every template that was in use, and the tags on them, in the database.

A version is its content: it is written once, never changed, and read back only if it still gives
its digest. So what a trace names can be found again when the file has long changed. Numbers
(`v1`, `v2`, …) count a template's versions in the order in which they were first seen.
"""

import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, insert, select

from headrace.access.audit import AuditLog, Change, changing
from headrace.config.node import parse_yaml
from headrace.errors import InvalidRequest, did_you_mean
from headrace.ids import new_id
from headrace.prompts.errors import UnknownVersion, VersionDamaged
from headrace.prompts.library import PromptLibrary
from headrace.prompts.reader import read_template
from headrace.prompts.source import source_of
from headrace.prompts.template import PromptTemplate
from headrace.storage.database import Database
from headrace.storage.tables import prompt_tags, prompt_versions

__all__ = ["TAGS_FILE", "PromptStore", "TagMove", "Version", "split_reference"]

TAGS_FILE = "prompt-tags"
"""Touched in the home when a tag moves, so that a running service takes it over."""
_TAG = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NUMBER = re.compile(r"v([1-9][0-9]{0,8})")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a template."""

    name: str
    number: int
    digest: str
    created_at: float
    """When it was first seen, in seconds since the epoch."""
    tags: Sequence[str] = ()

    @property
    def label(self) -> str:
        """`NAME@` and twelve digits of the digest, as traces have it."""
        return f"{self.name}@{self.digest.removeprefix('sha256:')[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMove:
    """A tag was put on a version, or taken off (`digest` is empty)."""

    tag: str
    digest: str
    at: float


def split_reference(reference: str) -> tuple[str, str]:
    """`NAME@VERSION` in two; the version is empty where there is none."""
    name, _, version = reference.partition("@")
    return name, version


class PromptStore:
    """See the module. Safe to share between threads; every call is one transaction."""

    def __init__(
        self,
        database: Database,
        *,
        audit: AuditLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            audit: where tags that move are noted.
        """
        self.database = database
        self._audit = audit
        self._clock = clock

    def keep(self, templates: Iterable[PromptTemplate]) -> int:
        """Write the versions that are not there yet; how many those were."""
        wanted = {(each.name, each.digest): each for each in templates}
        with self.database.read() as connection:
            known = _known(connection)
        fresh = [each for key, each in wanted.items() if key not in known]
        if not fresh:
            return 0
        with self.database.write() as connection:
            known = _known(connection)  # another process may have been quicker
            rows = []
            last = dict(_last_numbers(connection))
            for each in fresh:
                if (each.name, each.digest) in known:
                    continue
                last[each.name] = last.get(each.name, 0) + 1
                rows.append(
                    {
                        "name": each.name,
                        "digest": each.digest,
                        "number": last[each.name],
                        "source": zlib.compress(source_of(each.file).encode()),
                        "created_at": self._clock(),
                    }
                )
            if rows:
                connection.execute(insert(prompt_versions), rows)
        return len(rows)

    def copy_from(self, other: "PromptStore") -> None:
        """Take over all that another store has; for an empty one, such as a trial's."""
        with other.database.read() as connection:
            tables = {
                table: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in (prompt_versions, prompt_tags)
            }
        with self.database.write() as connection:
            for table, rows in tables.items():
                if rows:
                    connection.execute(insert(table), rows)

    def versions(self, name: str) -> list[Version]:
        """A template's versions, oldest first, with their tags; none for an unknown name."""
        columns = prompt_versions.c
        query = (
            select(columns.number, columns.digest, columns.created_at)
            .where(columns.name == name)
            .order_by(columns.number)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            tags = _tags(connection, name)
        return [
            Version(
                name=name,
                number=row.number,
                digest=row.digest,
                created_at=row.created_at,
                tags=sorted(tag for tag, digest in tags.items() if digest == row.digest),
            )
            for row in rows
        ]

    def names(self) -> list[str]:
        """Every template that has a version."""
        query = select(prompt_versions.c.name).distinct().order_by(prompt_versions.c.name)
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def find(self, name: str, version: str) -> Version:
        """The version `v3`, `production`, or the beginning of a digest (six digits or more).

        Raises:
            UnknownVersion: there is none, or several whose digest begins like this.
        """
        versions = self.versions(name)
        number, digest = _NUMBER.fullmatch(version), _DIGEST.fullmatch(version)
        found = [each for each in versions if version in each.tags]
        if not found and number is not None:
            found = [each for each in versions if each.number == int(number[1])]
        if not found and digest is not None:
            start = f"sha256:{digest[1]}"
            found = [each for each in versions if each.digest.startswith(start)]
        if len(found) != 1:
            known = [f"v{each.number}" for each in versions]
            known += [tag for each in versions for tag in each.tags]
            what = "more than one version" if found else "no version"
            raise UnknownVersion(
                f"the template {name!r} has {what} {version!r}",
                hint=did_you_mean(version, known, kind="versions"),
                param="template",
            )
        return found[0]

    def template(self, version: Version) -> PromptTemplate:
        """The template as that version has it.

        Raises:
            VersionDamaged: what is stored is not what its digest says.
        """
        node = parse_yaml(self.source(version), version.label, {}, root=Path())
        template = read_template(node, version.name, Path(), trusted=True)
        if template.digest != version.digest:
            raise VersionDamaged(
                f"{version.label} is not what its digest says: its text now gives {template.digest}",
                hint="restore the database from a backup",
            )
        return template

    def source(self, version: Version) -> str:
        """The text of a version: a prompt file that needs nothing beside it."""
        columns = prompt_versions.c
        query = select(columns.source).where(
            columns.name == version.name, columns.digest == version.digest
        )
        with self.database.read() as connection:
            stored = connection.execute(query).scalar_one()
        try:
            return zlib.decompress(stored).decode()
        except (zlib.error, UnicodeDecodeError) as error:
            raise VersionDamaged(
                f"{version.label} cannot be read", hint="restore the database from a backup"
            ) from error

    def tag(self, version: Version, tag: str, *, who: str = "", why: str = "") -> Version | None:
        """Put a tag on a version; gives the version that had it before.

        Raises:
            InvalidRequest: that cannot be a tag.
        """
        _check_tag(tag)
        change = Change(
            who=who,
            action="prompt.tag",
            target=f"{version.name}@{tag}",
            why=why,
            evidence={"digest": version.digest, "version": f"v{version.number}"},
        )
        return self._move(version.name, tag, version.digest, change)

    def untag(self, name: str, tag: str, *, who: str = "", why: str = "") -> Version | None:
        """Take a tag off; gives the version that had it."""
        _check_tag(tag)
        change = Change(who=who, action="prompt.untag", target=f"{name}@{tag}", why=why)
        return self._move(name, tag, "", change)

    def history(self, name: str) -> list[TagMove]:
        """Every move of a template's tags, oldest first."""
        columns = prompt_tags.c
        query = (
            select(columns.tag, columns.digest, columns.created_at)
            .where(columns.name == name)
            .order_by(columns.id)
        )
        with self.database.read() as connection:
            return [
                TagMove(tag=row.tag, digest=row.digest, at=row.created_at)
                for row in connection.execute(query)
            ]

    def tagged(self) -> dict[str, PromptTemplate]:
        """Every tagged version, by `NAME@TAG`.

        Raises:
            VersionDamaged: one is not what its digest says.
        """
        found: dict[str, PromptTemplate] = {}
        for name in self.names():
            for version in self.versions(name):
                if version.tags:
                    template = self.template(version)
                    found.update({f"{name}@{tag}": template for tag in version.tags})
        return found

    def resolve(self, reference: str, library: PromptLibrary) -> PromptTemplate:
        """The template that `NAME` (as it is now) or `NAME@VERSION` names.

        Raises:
            NotFound, UnknownVersion: there is none.
        """
        name, version = split_reference(reference)
        if not version:
            return library.get(reference)
        return self.template(self.find(name, version))

    def _move(self, name: str, tag: str, digest: str, change: Change) -> Version | None:
        before = next((each for each in self.versions(name) if tag in each.tags), None)
        if (before.digest if before is not None else "") != digest:
            row = {
                "id": new_id(),
                "name": name,
                "tag": tag,
                "digest": digest,
                "created_at": self._clock(),
            }
            was = {} if before is None else {"before": before.digest}
            change = msgspec.structs.replace(change, evidence={**change.evidence, **was})
            with changing(self.database, self._audit, change) as connection:
                connection.execute(insert(prompt_tags), row)
        return before


def _known(connection: Connection) -> set[tuple[str, str]]:
    query = select(prompt_versions.c.name, prompt_versions.c.digest)
    return {(row.name, row.digest) for row in connection.execute(query)}


def _last_numbers(connection: Connection) -> Iterable[tuple[str, int]]:
    columns = prompt_versions.c
    query = select(columns.name, func.max(columns.number)).group_by(columns.name)
    return [(str(name), int(last)) for name, last in connection.execute(query)]


def _tags(connection: Connection, name: str) -> Mapping[str, str]:
    """The digest under each tag; a tag that was taken off has an empty one."""
    columns = prompt_tags.c
    query = select(columns.tag, columns.digest).where(columns.name == name).order_by(columns.id)
    return {row.tag: row.digest for row in connection.execute(query)}


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag) or _NUMBER.fullmatch(tag) or _DIGEST.fullmatch(tag):
        raise InvalidRequest(
            f"{tag!r} cannot be a tag",
            hint="use small letters, digits, `-` and `_`, such as production; not v1, nor a digest",
        )
