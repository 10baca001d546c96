"""JSON Web Tokens in compact form."""

import pytest

from headrace.screening.detectors.jwt import JwtDetector

DETECTOR = JwtDetector()


def found(text: str) -> list[str]:
    """The secret parts, without what is public."""
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


HEADER = "hbGciOiJIUzI1NiJ9"
BODY = "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
SIGNATURE = "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    "rest",
    [f"{HEADER}.{BODY}.{SIGNATURE}", f"{HEADER}.{BODY}.", f"{HEADER}.{BODY}.a.b.{SIGNATURE}"],
)
def test_tokens_are_found(rest: str) -> None:
    assert found(f"Authorization: Bearer eyJ{rest} ok") == [rest]
    assert found(f"令牌eyJ{rest}，") == [rest]


@pytest.mark.parametrize(
    "text", ["eyJ", "eyJhbGci", f"eyJ{HEADER}", "xeyJ" + HEADER + "." + BODY, "eyJ.eyJ"]
)
def test_pieces_are_left_alone(text: str) -> None:
    assert found(text) == []
