"""TLS towards model servers: whom we trust, who we are, and what a failed handshake means."""

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Self

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentMisconfigured

__all__ = ["TlsSettings", "context_for", "explained"]

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep what they trust, for an OpenSSL that was built for another system."""

_HINT_TRUST = (
    "if that is meant, name the authority's certificate: `tls: {ca_file: PATH}`, or SSL_CERT_FILE"
)
# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h).
_VERIFY = {
    9: ("is not valid yet", "set this machine's clock, or ask the server's operator"),
    10: ("has expired", "the server's operator must renew it; is this machine's clock right?"),
    18: ("is self-signed and not trusted", _HINT_TRUST),
    19: ("comes from an authority that is not trusted", _HINT_TRUST),
    20: ("comes from an authority that is not known here", _HINT_TRUST),
    21: ("cannot be traced to an authority: the server does not send the whole chain", _HINT_TRUST),
    23: ("was revoked", "the server's operator must replace it"),
    62: ("is for another host name", "use a name in `base_url` that the certificate is for"),
    64: ("is not for this IP address", "use a name in `base_url` that the certificate is for"),
}
_UNTRUSTED = frozenset({18, 19, 20, 21})
_ALERTS = (
    ("CERTIFICATE_REQUIRED", "wants a client certificate", "`tls: {certificate_file: PATH}`"),
    ("BAD_CERTIFICATE", "refuses our client certificate", "see `tls.certificate_file`"),
    ("UNKNOWN_CA", "does not trust our client certificate", "see `tls.certificate_file`"),
    ("CERTIFICATE_EXPIRED", "says that our client certificate has expired", "renew it"),
    ("PROTOCOL_VERSION", "speaks no TLS version that is safe (1.2 or later)", "update the server"),
    ("UNSUPPORTED_PROTOCOL", "speaks no TLS version that is safe (1.2 or later)", "update the server"),
    ("UNRECOGNIZED_NAME", "does not know this host name", "check `base_url`"),
    ("NO_APPLICATION_PROTOCOL", "does not offer HTTP/1.1", "it must, for Headrace to reach it"),
    ("WRONG_VERSION_NUMBER", "does not speak TLS on this port", "should its URL begin with http://?"),
    ("HTTP_REQUEST", "does not speak TLS on this port", "should its URL begin with http://?"),
)  # fmt: skip


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a server's certificate is checked, and which one we show (`tls:` of a deployment)."""

    ca_file: str | None = None
    """PEM file of the authorities to trust, instead of the system's."""
    certificate_file: str | None = None
    """PEM file of our client certificate, with its chain."""
    key_file: str | None = None
    """PEM file of its key; absent: it is in `certificate_file`."""
    server_name: str | None = None
    """Name that the certificate must be for; absent: the host of `base_url`."""
    verify: bool = True
    """False takes any certificate, and with it anybody in between. For experiments only."""

    def below(self, root: Path) -> Self:
        """The same, with relative paths starting at `root`."""

        def absolute(path: str | None) -> str | None:
            return None if path is None else str(root / Path(path).expanduser())

        return msgspec.structs.replace(
            self,
            ca_file=absolute(self.ca_file),
            certificate_file=absolute(self.certificate_file),
            key_file=absolute(self.key_file),
        )


def context_for(settings: TlsSettings) -> ssl.SSLContext:
    """The context for these settings; made again once a file that it came from has changed.

    Reading the system's store takes some 30 ms, so call it where that holds up nothing.

    Raises:
        DeploymentMisconfigured: a file cannot be read, or is not what it should be.
    """
    store = os.environ.get("SSL_CERT_FILE")
    files = (settings.ca_file or store, settings.certificate_file, settings.key_file)
    return _context(settings, store, tuple(map(_stamp, files)))


def _stamp(path: str | None) -> int:
    if path is None:
        return 0
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise DeploymentMisconfigured(
            f"the file {path} for TLS cannot be read: {error.strerror}",
            hint="check `tls` of the deployment, and SSL_CERT_FILE",
        ) from error


@lru_cache(maxsize=64)
def _context(settings: TlsSettings, store: str | None, stamps: tuple[int, ...]) -> ssl.SSLContext:
    del store, stamps  # they only tell contexts apart
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise DeploymentMisconfigured(
                f"the CA file {settings.ca_file} holds no certificate in PEM form",
                hint="see `tls.ca_file` of the deployment",
            ) from error
    else:
        _trust_system(context)
    if settings.certificate_file is not None:
        _show(context, settings.certificate_file, settings.key_file)
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    context.load_default_certs()  # honours SSL_CERT_FILE and SSL_CERT_DIR
    folder = ssl.get_default_verify_paths().capath
    if context.cert_store_stats()["x509_ca"] or (folder and any(Path(folder).iterdir())):
        return
    for bundle in BUNDLES:
        if Path(bundle).is_file():
            context.load_verify_locations(bundle)
            return


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        # Without a password of ours OpenSSL would ask for one on the terminal, and wait.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or ""
        what = (
            "do not belong together"
            if "MISMATCH" in reason
            else "cannot be used: PEM form, without a password, is expected"
        )
        raise DeploymentMisconfigured(
            f"the client certificate {certificate} and its key {what}",
            hint="see `tls.certificate_file` and `tls.key_file` of the deployment",
        ) from error


def explained(error: ssl.SSLError, server: str, settings: TlsSettings) -> ModelUnavailable:
    """What a failed handshake means, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        what, hint = _VERIFY.get(code, (f"is not valid: {error.verify_message}", _HINT_TRUST))
        if code in _UNTRUSTED and settings.ca_file is not None:
            hint = f"`tls.ca_file` ({settings.ca_file}) names other authorities"
        return DeploymentMisconfigured(f"the certificate of {server} {what}", hint=hint)
    reason = (error.reason or "").upper()
    for part, what, hint in _ALERTS:
        if part in reason:
            return DeploymentMisconfigured(f"the server {server} {what}", hint=hint)
    if "ALERT" in reason:
        said = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return DeploymentMisconfigured(
            f"the server {server} refuses the TLS handshake ({said})",
            hint="it may want a client certificate (`tls.certificate_file`) or other ciphers",
        )
    return ModelUnavailable(
        f"the TLS connection to {server} failed ({reason.replace('_', ' ').lower() or error})"
    )
