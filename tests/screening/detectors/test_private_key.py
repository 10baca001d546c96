"""Private keys in PEM form: whole, cut off, and mentioned only."""

import pytest

from headrace.screening.detectors.private_key import PrivateKeyDetector

DETECTOR = PrivateKeyDetector()


def found(text: str) -> list[str]:
    """The secret parts, without what is public."""
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


LINE = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I"
HEAD = "-----BEGIN RSA PRIVATE KEY-----"
TAIL = "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "body",
    [
        f"\n{LINE}\n{LINE}\naGVsbG8=\n{TAIL}",
        f"\r\n{LINE}\r\n{TAIL}",
        f"\\n{LINE}\\n{LINE}\\n{TAIL}",
        f" {LINE} {LINE} {TAIL}",
        f"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123\n\n{LINE}\n{TAIL}",
        f"\n{LINE}\n{LINE}",
        f"\n{LINE}\naGVsbG8=\n{TAIL}",
    ],
)
def test_keys_are_found_to_their_end(body: str) -> None:
    assert found(f"see {HEAD}{body}. Then") == [body]


def test_prose_behind_a_key_that_was_cut_stays() -> None:
    assert found(f"{HEAD}\n{LINE}\nand then it stops") == [f"\n{LINE}"]


@pytest.mark.parametrize("kind", ["", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_every_form_of_first_line_counts(kind: str) -> None:
    assert found(f"-----BEGIN {kind}PRIVATE KEY-----\n{LINE}") == [f"\n{LINE}"]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD} marks the beginning of a key",
        f"-----BEGIN PUBLIC KEY-----\n{LINE}\n-----END PUBLIC KEY-----",
        f"{HEAD}\n{TAIL}",
        HEAD,
        "-----BEGIN",
    ],
)
def test_talk_about_keys_is_left_alone(text: str) -> None:
    assert found(text) == []
