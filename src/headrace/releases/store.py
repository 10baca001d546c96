"""The releases of a home: built, looked up, verified, and put on channels."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import RowMapping, func, insert, select, update

from headrace.access.audit import Action, AuditLog, Change, changing
from headrace.ids import new_id
from headrace.releases.adapter import adapter_files, check_adapters, fetch_adapter
from headrace.releases.attestation import Attestation, Envelope, signed_bytes
from headrace.releases.blob import BlobStore
from headrace.releases.errors import ReleaseInvalid, UnknownRelease
from headrace.releases.manifest import FileEntry, Manifest
from headrace.releases.shared import SharedBlobStore
from headrace.releases.signer import Signer, joined
from headrace.storage.database import Database
from headrace.storage.tables import attestations, channel_moves, releases

__all__ = ["Move", "Release", "ReleaseStore"]

FOLDER = "releases"
_LEAST_DIGEST = 4


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest with what is known of it here."""

    digest: str
    number: int
    """From 1, in the order of their coming here."""
    manifest: Manifest
    signature: bytes
    """Of everybody who signed it, one after another: one that is trusted is enough."""
    note: str
    created_at: float

    @property
    def name(self) -> str:
        """What people call it."""
        return f"r{self.number}"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A channel was moved to a release."""

    id: str
    channel: str
    digest: str
    """Empty: to none, so that the folder's files are served."""
    who: str
    why: str
    created_at: float


class ReleaseStore:
    """See the module. Reads and writes files and the database: not for an event loop."""

    def __init__(
        self,
        database: Database,
        home: Path,
        *,
        audit: AuditLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            audit: where channels that move, and trials, are noted.
        """
        self._database = database
        self._audit = audit
        self._clock = clock
        self.folder = home / FOLDER
        blobs = self.folder / "blobs"
        shared = database.is_postgres
        self.blobs = SharedBlobStore(blobs, database) if shared else BlobStore(blobs)
        self.home = home
        self.signer = Signer(home)

    def add(
        self, manifest: Manifest, files: dict[str, bytes], *, note: str = ""
    ) -> tuple[Release, bool]:
        """Keep a release of these files, signed; gives it, and whether it is new here.

        Raises:
            ReleaseInvalid: a file is not what the manifest says.
        """
        for entry in manifest.files:
            if self.blobs.put(files[entry.path]) != entry.sha256:
                raise ReleaseInvalid(f"{entry.path} is not the file of the manifest")
        kept = self.keep(manifest, self.signer.sign(manifest.encoded()), note=note)
        self.share_adapters(kept[0])
        return kept

    def share_adapters(self, release: Release) -> None:
        """Give the release's adapters to the gateways that share the database, if any do.

        Raises:
            ReleaseInvalid: a file of one is missing or altered.
        """
        if not self._database.is_postgres:
            return
        for entry in release.manifest.adapters or ():
            for file, path in adapter_files(entry, self.home):
                self.blobs.share(file.sha256, path)

    def keep(self, manifest: Manifest, signature: bytes, *, note: str = "") -> tuple[Release, bool]:
        """Keep a manifest whose blobs are here, under a signature that it came with.

        What is known already keeps its signatures and gets this one too: a stranger who was first
        must not stand in the way of one who is trusted.
        """
        digest = manifest.digest
        with self._database.write() as connection:
            mine = releases.c.digest == digest
            known = connection.execute(select(releases).where(mine)).mappings().first()
            if known is not None:
                release = _release(known)
                signatures = joined(release.signature, signature)
                if signatures != release.signature:
                    changed = update(releases).where(mine).values(signature=signatures)
                    connection.execute(changed)
                return msgspec.structs.replace(release, signature=signatures), False
            number = (connection.execute(select(func.max(releases.c.number))).scalar() or 0) + 1
            connection.execute(
                insert(releases),
                {
                    "digest": digest,
                    "number": number,
                    "behaviour": manifest.behaviour,
                    "manifest": manifest.encoded(),
                    "signature": joined(signature),
                    "note": note,
                    "created_at": self._clock(),
                },
            )
        return self.get(digest), True

    def all(self) -> list[Release]:
        """Every release, newest first."""
        query = select(releases).order_by(releases.c.number.desc())
        with self._database.read() as connection:
            return [_release(row) for row in connection.execute(query).mappings()]

    def get(self, name: str) -> Release:
        """The release called `r3`, of this digest (any beginning), or that a channel serves.

        An answer's `x-headrace-release` finds the newest release that behaves like it.

        Raises:
            UnknownRelease: there is none, or several.
        """
        found = self.all()
        if name.startswith("r") and name[1:].isdigit():
            fitting = [each for each in found if each.number == int(name[1:])]
        elif name.startswith("sha256:") and len(name) >= len("sha256:") + _LEAST_DIGEST:
            fitting = [each for each in found if each.digest.startswith(name)]
            if not fitting:
                fitting = [e for e in found if e.manifest.behaviour.startswith(name)][:1]
        else:
            digest = self.serving(name)
            fitting = [each for each in found if each.digest == digest]
        if not fitting:
            raise UnknownRelease(
                f"there is no release {name!r}", hint="`headrace release list` shows them"
            )
        if len(fitting) > 1:
            raise UnknownRelease(f"{name!r} fits several releases", hint="write more of it")
        return fitting[0]

    def verify(self, release: Release) -> None:
        """Look at everything that serving it needs.

        Raises:
            ReleaseInvalid: a blob or an adapter is gone or altered, or no trusted key signed it.
        """
        encoded = release.manifest.encoded()
        if release.manifest.digest != release.digest:
            raise ReleaseInvalid(f"the manifest of {release.name} was altered")
        if not self.signer.is_trusted(encoded, release.signature):
            raise ReleaseInvalid(
                f"{release.name} was signed by nobody who is trusted here",
                hint="put the builder's release.pub into .headrace/trusted-releases/",
            )
        for entry in release.manifest.files:
            self.blobs.get(entry.sha256)
        for adapter in release.manifest.adapters or ():
            fetch_adapter(adapter, self.blobs.fetch, self.home)
        check_adapters(release.manifest.adapters or (), self.home)

    def countersigned(self, release: Release) -> Release:
        """The release, signed by this home's key too.

        Raises:
            ReleaseInvalid: as `verify`: what nobody who is trusted has signed is not vouched for.
        """
        self.verify(release)
        signature = self.signer.sign(release.manifest.encoded())
        return self.keep(release.manifest, signature)[0]

    def unpacked(self, release: Release, root: Path) -> Path:
        """The folder with the release's files, made if it was not there.

        Args:
            root: the service's folder, where files that are named as `${file:…}` lie.

        Raises:
            ReleaseInvalid: as `verify`.
        """
        self.verify(release)
        self.share_adapters(release)
        folder = self.folder / release.digest.removeprefix("sha256:")
        for entry in release.manifest.files:
            self._put_out(folder, entry)
        for name in release.manifest.outside:
            link = folder / name
            if not link.is_symlink():
                link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                link.symlink_to(root / name)
        return folder

    def _put_out(self, folder: Path, entry: FileEntry) -> None:
        path = folder / entry.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ReleaseInvalid(f"the release has a file outside of its folder: {entry.path!r}")
        data = self.blobs.get(entry.sha256)
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{new_id()}")
        part.write_bytes(data)
        part.replace(path)

    # What it has proved

    def attest(self, attestation: Attestation) -> None:
        """Sign what a suite came to, and keep it."""
        payload = attestation.payload()
        self.keep_envelope(Envelope.seal(payload, self.signer.sign(signed_bytes(payload))))

    def keep_envelope(self, envelope: Envelope) -> None:
        """Keep an attestation under the signature that it came with; once, however often it comes.

        Raises:
            ReleaseInvalid: it holds no attestation.
        """
        found = Attestation.parse(envelope.opened()[0])
        data = msgspec.json.encode(envelope)
        known = select(attestations.c.id).where(
            attestations.c.release == found.release, attestations.c.envelope == data
        )
        with self._database.write() as connection:
            if connection.execute(known).first() is None:
                row = {"id": new_id(), "release": found.release, "envelope": data}
                connection.execute(insert(attestations), row)

    def envelopes(self, release: Release) -> list[Envelope]:
        """What was attested of the release, oldest first, whoever signed it."""
        query = (
            select(attestations.c.envelope)
            .where(attestations.c.release == release.digest)
            .order_by(attestations.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).scalars()
            return [msgspec.json.decode(each, type=Envelope) for each in rows]

    def attestations(self, release: Release) -> list[Attestation]:
        """The newest of each suite, by name; only what somebody signed who is trusted here."""
        newest: dict[str, Attestation] = {}
        for envelope in self.envelopes(release):
            payload, signatures = envelope.opened()
            if not any(self.signer.is_trusted(signed_bytes(payload), each) for each in signatures):
                continue
            found = Attestation.parse(payload)
            before = newest.get(found.suite)
            if found.release == release.digest and (
                before is None or before.finished_at <= found.finished_at
            ):
                newest[found.suite] = found
        return [newest[name] for name in sorted(newest)]

    # Channels

    def serving(self, channel: str) -> str:
        """The digest that a channel was last moved to; empty where it serves none."""
        moves = self.moves(channel, limit=1)
        return moves[0].digest if moves else ""

    def moves(self, channel: str, *, limit: int = 100) -> Sequence[Move]:
        """Where a channel was moved to, newest first."""
        query = (
            select(channel_moves)
            .where(channel_moves.c.channel == channel)
            .order_by(channel_moves.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Move(**{str(name): value for name, value in row.items()}) for row in rows]

    def move(
        self,
        channel: str,
        digest: str,
        *,
        who: str,
        why: str,
        action: Action = "release.serve",
        is_unproved: bool = False,
    ) -> Move:
        """Move a channel; who looks at it serves that from now on.

        Args:
            action, is_unproved: for the audit log.
        """
        change = Change(
            who=who,
            action=action,
            target=digest or "files",
            why=why,
            evidence={
                "channel": channel,
                "before": self.serving(channel),
                **self._proof(digest),
                **({"unproved": True} if is_unproved else {}),
            },
        )
        made = Move(
            id=new_id(),
            channel=channel,
            digest=digest,
            who=who,
            why=why,
            created_at=self._clock(),
        )
        with changing(self._database, self._audit, change) as connection:
            connection.execute(insert(channel_moves), msgspec.structs.asdict(made))
        return made

    def note_trial(
        self, release: Release, *, who: str, why: str, evidence: Mapping[str, object]
    ) -> None:
        """Put the beginning of a trial into the audit log; it moves no channel."""
        if self._audit is not None:
            proof = self._proof(release.digest)
            change = Change(
                who=who,
                action="release.trial",
                target=release.digest,
                why=why,
                evidence={**evidence, **proof},
            )
            self._audit.record(change)

    def _proof(self, digest: str) -> dict[str, object]:
        """What a release had proved when it was served or tried, for the audit log."""
        found = [each for each in self.all() if each.digest == digest]
        proved = [
            {
                "suite": each.suite,
                "digest": each.suite_digest,
                "result": each.verdict,
                "run": each.run,
            }
            for release in found
            for each in self.attestations(release)
        ]
        return {"name": found[0].name, "proved": proved} if found else {}


def _release(row: RowMapping) -> Release:
    return Release(
        digest=row["digest"],
        number=row["number"],
        manifest=msgspec.json.decode(row["manifest"], type=Manifest),
        signature=row["signature"],
        note=row["note"],
        created_at=row["created_at"],
    )
