"""Addresses of machines, and numbers with dots that are none."""

import pytest

from headrace.screening.detectors.ip import IpDetector

DETECTOR = IpDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("from 203.0.113.7.", ["203.0.113.7"]),
        ("10.1.2.3/24 and 192.168.1.77:8080", ["10.1.2.3", "192.168.1.77"]),
        ("服务器是203.0.113.7吗", ["203.0.113.7"]),
        ("2001:db8::ff00:42:8329", ["2001:db8::ff00:42:8329"]),
        (
            "[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443",
            ["2001:0db8:85a3:0000:0000:8a2e:0370:7334"],
        ),
        ("ping fe80::1: no answer", ["fe80::1"]),
        ("地址2001:db8::1。", ["2001:db8::1"]),
    ],
)
def test_addresses_are_found(text: str, addresses: list[str]) -> None:
    assert found(text) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4",
        "v1.2.3.4 and v. 10.0.0.1",
        "release: 10.1.2.3",
        "版本 1.2.3.4",
        "Chrome/120.0.0.1",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "127.0.0.1, 0.0.0.0, 255.255.255.0, ::1, ::",
        "at 12:30:45 or 12:30",
        "std::vector, a::b, xs[1::2]",
        "aa:bb:cc:dd:ee:ff",
        "dead::beef",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert found(text) == []
