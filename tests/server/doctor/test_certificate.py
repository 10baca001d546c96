"""What doctor says about the certificate."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.server.doctor.certificate import check_certificate
from headrace.server.doctor.site import Site
from tests.server.doctor.conftest import SERVICE
from tests.server.http1.test_certificate import write_certificate

DAY = datetime.timedelta(days=1)
TLS = "{port: 0, tls: {certificate: certificate.pem, key: key.pem}}"


@pytest.mark.parametrize(
    ("days", "status", "says"),
    [(90, "ok", "is valid until"), (5, "warn", "is valid until"), (-1, "fail", "expired on")],
)
def test_a_certificate_is_judged_by_the_days_it_has_left(
    root: Path, site: Callable[[], Site], days: int, status: str, says: str
) -> None:
    (root / "headrace.yaml").write_text(SERVICE.replace("{port: 0}", TLS))
    write_certificate(root, "a.example", begins=-9 * DAY, ends=days * DAY)
    (result,) = check_certificate(site())
    assert (result.status, result.check) == (status, "certificate")
    assert says in result.message
    assert bool(result.hint) == (status != "ok")


def test_files_that_are_not_there_are_named(root: Path, site: Callable[[], Site]) -> None:
    (root / "headrace.yaml").write_text(SERVICE.replace("{port: 0}", TLS))
    (result,) = check_certificate(site())
    assert result.status == "fail"
    assert "certificate.pem cannot be read" in result.message


def test_a_service_without_tls_needs_none(site: Callable[[], Site]) -> None:
    assert not list(check_certificate(site()))
