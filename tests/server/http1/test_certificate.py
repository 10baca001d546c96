"""TLS: what a certificate must be, and how a new one is taken over."""

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headrace.server.http1.certificate import Certificate
from headrace.server.http1.errors import CertificateUnusable
from headrace.server.http1.limits import Limits
from tests.server.http1.site import Client, Echo, Site, get, post

DAY = datetime.timedelta(days=1)


def write_certificate(
    folder: Path,
    name: str,
    *,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = 90 * DAY,
) -> tuple[Path, Path]:
    """A certificate for `name` that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def connect(site: Site, *, name: str | None = None) -> tuple[Client, str]:
    """A client over TLS, and for whom the server's certificate is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = site.client()
    wrapped = context.wrap_socket(client.socket, server_hostname=name)
    shown = wrapped.getpeercert(binary_form=True)
    assert shown is not None
    subject = x509.load_der_x509_certificate(shown).subject
    return Client(wrapped), str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def look_twice(certificate: Certificate) -> None:
    for _ in range(2):
        asyncio.run(certificate.look())


@pytest.mark.parametrize("name", [None, "example.org"])
def test_new_connections_get_the_new_certificate_and_open_ones_stay(
    tmp_path: Path, name: str | None
) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "old.example"))
    with Site.serving(Echo(), tls=certificate.context) as site:
        first, subject = connect(site, name=name)
        assert subject == "old.example"
        assert first.ask(get("/")).status == 200
        write_certificate(tmp_path, "new.example")
        look_twice(certificate)
        second, subject = connect(site, name=name)
        assert subject == "new.example"
        for client in (first, second):
            assert client.ask(get("/stream")).body.endswith(b"end\n\n")
            client.socket.close()


@pytest.mark.parametrize("spoil", ["expired", "not PEM", "other key", "gone"])
def test_files_that_cannot_be_used_leave_the_old_certificate_and_are_said(
    tmp_path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    paths = write_certificate(tmp_path, "old.example")
    certificate = Certificate(*paths)
    with Site.serving(Echo(), tls=certificate.context) as site:
        _spoil(paths, spoil)
        look_twice(certificate)
        client, subject = connect(site)
        client.socket.close()
        assert subject == "old.example"
        assert "the old one stays" in caplog.text
        write_certificate(tmp_path, "new.example")
        look_twice(certificate)
        client, subject = connect(site)
        client.socket.close()
        assert subject == "new.example"


def _spoil(paths: tuple[Path, Path], how: str) -> None:
    certificate, key = paths
    if how == "expired":
        write_certificate(certificate.parent, "expired.example", begins=-9 * DAY, ends=-DAY)
    elif how == "not PEM":
        certificate.write_text("a certificate")
    elif how == "other key":
        old = key.read_bytes()
        write_certificate(certificate.parent, "mismatch.example")
        key.write_bytes(old)
    else:
        key.unlink()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("expired", "expired on"),
        ("not PEM", "is not a certificate in PEM form"),
        ("other key", "does not belong to the certificate"),
        ("gone", "cannot be read: No such file"),
    ],
)
def test_a_start_with_such_files_says_what_is_wrong(tmp_path: Path, how: str, says: str) -> None:
    paths = write_certificate(tmp_path, "a.example")
    _spoil(paths, how)
    with pytest.raises(CertificateUnusable) as caught:
        Certificate(*paths)
    assert says in caught.value.message
    assert str(tmp_path) in caught.value.message


def test_a_certificate_of_tomorrow_and_a_key_with_a_passphrase_are_refused(tmp_path: Path) -> None:
    paths = write_certificate(tmp_path, "a.example", begins=DAY)
    with pytest.raises(CertificateUnusable, match="is not valid before"):
        Certificate(*paths)
    certificate, path = write_certificate(tmp_path, "a.example")
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateUnusable, match="without a passphrase"):
        Certificate(certificate, path)


def test_a_certificate_about_to_end_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Certificate(*write_certificate(tmp_path, "a.example", ends=3 * DAY))
    assert "expires on" in caplog.text


def test_a_client_that_speaks_no_tls_harms_nobody(tmp_path: Path) -> None:
    certificate = Certificate(*write_certificate(tmp_path, "a.example"))
    with Site.serving(Echo(), tls=certificate.context) as site:
        with site.client() as plain:
            plain.send(get("/"))
            assert plain.is_closed()
        client, _ = connect(site)
        assert client.ask(get("/")).status == 200
        client.socket.close()


def test_a_client_that_closes_over_tls_ends_the_work_for_it(tmp_path: Path) -> None:
    echo = Echo()
    certificate = Certificate(*write_certificate(tmp_path, "a.example"))
    with Site.serving(echo, tls=certificate.context) as site:
        client, _ = connect(site)
        client.send(get("/wait"))
        assert echo.waiting.wait(10)
        client.socket.close()
        assert echo.cancelled.wait(10)


def test_bodies_streams_and_limits_are_the_same_over_tls(tmp_path: Path) -> None:
    echo = Echo()
    certificate = Certificate(*write_certificate(tmp_path, "a.example"))
    with Site.serving(echo, Limits(write_timeout_s=0.3), tls=certificate.context) as site:
        client, _ = connect(site)
        assert client.ask(post("/pieces", b"x" * 5_000_000)).json() == {"size": 5_000_000}
        client.send(b"".join(get(f"/{number}") for number in range(50)))
        assert [client.answer().json()["path"] for _ in range(50)][-1] == "/49"
        assert client.ask(post("/x", b"x" * 2_000_000)).status == 413
        client.socket.close()
        silent, _ = connect(site)
        silent.send(get("/stream/endless"))
        assert echo.cancelled.wait(10)
        silent.socket.close()
