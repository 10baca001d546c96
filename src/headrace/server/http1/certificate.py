"""TLS: a certificate with its key, taken over anew when the files change.

Connections that are open stay with the certificate they began with; new ones get the new one. Files
that cannot be used are said in the log, and the old certificate stays.
"""

import asyncio
import datetime
import logging
import ssl
from pathlib import Path

from headrace.server.http1.errors import CertificateUnusable

__all__ = ["SOON", "Certificate"]

LOOK_EVERY_S = 2.0
"""As often as that, because notifications do not come through network file systems; renewals are
not in a hurry. A change counts once two looks agree: two files are written one after the other."""
SOON = datetime.timedelta(days=14)
"""So long before its end a certificate should have been renewed."""

_log = logging.getLogger(__name__)


class Certificate:
    """The files of `server.tls`, and the context that new connections get."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load them.

        Raises:
            CertificateUnusable: says which file, why, and what to do.
        """
        self.path = certificate
        self._key = key
        self.ends_at = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        """Of the files that were read last."""
        self._used = self._seen = self._fingerprint()
        self._current = self._load()
        # Its own certificate is only a stand-in: OpenSSL wants one before it asks which to show.
        self.context = self._context()
        """For the listening socket; each handshake is passed on to the context of its time."""
        self.context.sni_callback = self._choose

    @property
    def is_ending(self) -> bool:
        """Whether it should have been renewed by now."""
        return self.ends_at - datetime.datetime.now(datetime.UTC) < SOON

    async def watch(self) -> None:
        """Take over changed files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Take over the files if they have changed and have settled."""
        seen, self._seen = self._seen, await asyncio.to_thread(self._fingerprint)
        if seen != self._seen or seen == self._used:
            return
        self._used = seen
        try:
            self._current = await asyncio.to_thread(self._load)
        except CertificateUnusable as error:
            _log.error(
                "the changed certificate cannot be used, so the old one stays: %s (%s)",
                error.message,
                error.hint,
            )
        else:
            _log.info("the changed certificate is in use now: %s", self.path)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called in each handshake, whether or not the client names a server."""
        del name, context
        connection.context = self._current

    def _fingerprint(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in (self.path, self._key):
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        self._check_validity()
        return self._context()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Asked for a passphrase, OpenSSL would read one from the terminal.
            context.load_cert_chain(self.path, self._key, password=_no_passphrase)
        except ssl.SSLError as error:
            raise self._unusable(error) from None
        except OSError as error:
            raise _unreadable(self._key, error) from error
        return context

    def _check_validity(self) -> None:
        # Only those who speak TLS here pay for this import.
        from cryptography import x509

        path = self.path
        try:
            found = x509.load_pem_x509_certificate(path.read_bytes())
        except OSError as error:
            raise _unreadable(path, error) from error
        except ValueError:
            raise CertificateUnusable(
                f"{path} is not a certificate in PEM form",
                hint="server.tls.certificate names a file with `-----BEGIN CERTIFICATE-----`",
            ) from None
        now = datetime.datetime.now(datetime.UTC)
        if found.not_valid_after_utc < now:
            raise CertificateUnusable(
                f"the certificate {path} expired on {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
                hint="renew it; a running service takes the new files over by itself",
            )
        if found.not_valid_before_utc > now:
            raise CertificateUnusable(
                f"the certificate {path} is not valid before "
                f"{found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
                hint="check this machine's clock",
            )
        self.ends_at = found.not_valid_after_utc
        if self.is_ending:
            _log.warning("the certificate %s expires on %s", path, self.ends_at)

    def _unusable(self, error: ssl.SSLError) -> CertificateUnusable:
        if error.reason == "KEY_VALUES_MISMATCH":
            return CertificateUnusable(
                f"the key {self._key} does not belong to the certificate {self.path}",
                hint="server.tls.certificate and server.tls.key come from the same renewal",
            )
        return CertificateUnusable(
            f"{self._key} is not a private key in PEM form without a passphrase",
            hint="server.tls.key names a file with `-----BEGIN PRIVATE KEY-----`",
        )


def _no_passphrase() -> str:
    return ""


def _unreadable(path: Path, error: OSError) -> CertificateUnusable:
    return CertificateUnusable(
        f"{path} cannot be read: {error.strerror or error}",
        hint="check server.tls in headrace.yaml, and the file's permissions",
    )
