"""The certificate that the service shows, if it speaks TLS."""

from collections.abc import Iterator

from headrace.errors import HeadraceError
from headrace.server.doctor.result import Result, failure, ok, warn
from headrace.server.doctor.site import Site
from headrace.server.http1.certificate import SOON, Certificate

__all__ = ["check_certificate"]


def check_certificate(site: Site) -> Iterator[Result]:
    """Whether the files of `server.tls` can be used, and for how long."""
    if site.config is None or (tls := site.config.server.tls) is None:
        return
    try:
        certificate = Certificate(site.root / tls.certificate, site.root / tls.key)
    except HeadraceError as error:
        yield failure("certificate", error)
        return
    said = f"{tls.certificate} is valid until {certificate.ends_at:%Y-%m-%d}"
    if certificate.is_ending:
        yield warn(
            "certificate",
            said,
            hint=f"renew it; a certificate should have more than {SOON.days} days left",
        )
    else:
        yield ok("certificate", said)
