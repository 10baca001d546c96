"""Passwords in URLs."""

import pytest

from headrace.screening.detectors.url_password import UrlPasswordDetector

DETECTOR = UrlPasswordDetector()


def found(text: str) -> list[str]:
    """The secret parts, without what is public."""
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "passwords"),
    [
        ("postgres://app:s3cr3t!@db.host:5432/x", ["s3cr3t!"]),
        ("mongodb+srv://u:p4ss%20w@cluster0.example.net", ["p4ss%20w"]),
        ("redis://:hunter2x@127.0.0.1:6379/0", ["hunter2x"]),
        ("连接串是mysql://root:密码123@host/db。", ["密码123"]),
        ("a https://u:one1@h.x b https://v:two2@h.x", ["one1", "two2"]),
    ],
)
def test_the_password_alone_is_found(text: str, passwords: list[str]) -> None:
    assert found(text) == passwords


SIGNATURE = "Zq1Yw2Xv3Ut4Sr5Qp6On7Ml8Kj9Ih0Gf1Ed2Cb3Az4%2Ba8%3D"


@pytest.mark.parametrize(
    ("text", "signatures"),
    [
        (f"https://s.blob.core.windows.net/a?sv=2024-11-04&sp=r&sig={SIGNATURE}&se=x", [SIGNATURE]),
        (f"SharedAccessSignature=sv=2024-11-04&amp;sig={SIGNATURE};", [SIGNATURE]),
        (f"https://b.s3.amazonaws.com/k?X-Amz-Signature={'0f1e2d3c' * 8}", []),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
            ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"],
        ),
        ("https://x.example/?sig=short1&config=2", []),
        (f"https://x.example/?sig={'x' * 44}", []),
        (f"design={SIGNATURE}", []),
    ],
)
def test_signatures_that_open_an_address_are_found(text: str, signatures: list[str]) -> None:
    assert found(text) == signatures


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com:8080/a@b",
        "https://user@example.com",
        "postgres://user:password@localhost/db",
        "postgres://user:${DB_PASSWORD}@localhost/db",
        "amqp://user:{password}@host",
        "ratio 1://2:3@",
        "see http://x: y@z",
    ],
)
def test_ports_and_placeholders_are_left_alone(text: str) -> None:
    assert found(text) == []
