"""Values that the text itself calls a password, key or token."""

import pytest

from headrace.screening.detectors.assigned_secret import AssignedSecretDetector

DETECTOR = AssignedSecretDetector()


def found(text: str) -> list[str]:
    """The secret parts, without what is public."""
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("password = hunter22", ["hunter22"]),
        ('DB_PASSWORD="Tr0ub4dor&3"', ["Tr0ub4dor&3"]),
        ("my password is correct-horse-7.", ["correct-horse-7"]),
        ("密码是abc12345，别告诉别人", ["abc12345"]),
        ("密码：p@ssW0rd", ["p@ssW0rd"]),
        ("passcode: 482913", ["482913"]),
        ("api_key: 'f3A9k2LmQ8x7Zp0Rt5Vw'", ["f3A9k2LmQ8x7Zp0Rt5Vw"]),
        (
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
        ),
        ("Authorization: Bearer f3A9k2LmQ8x7Zp0Rt5Vw", ["f3A9k2LmQ8x7Zp0Rt5Vw"]),
        ('"client_secret": "8d7f6a5b4c3d2e1f0a9b"', ["8d7f6a5b4c3d2e1f0a9b"]),
        ("SIGNING_KEY=5d41402abc4b2a76b9719d911017c592", ["5d41402abc4b2a76b9719d911017c592"]),
        ("encryption-key: q8Zr5Tn2Wv9Xy4Lk7Mp1", ["q8Zr5Tn2Wv9Xy4Lk7Mp1"]),
        ("AccountKey=Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg==;", ["Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg=="]),
    ],
)
def test_secrets_are_found(text: str, secrets: list[str]) -> None:
    assert found(text) == secrets


@pytest.mark.parametrize(
    "text",
    [
        "the password is wrong",
        "password = getpass()",
        "password: str",
        "token = tokens[0]",
        "max_tokens: 4096",
        "secret: no",
        "api_key = os.environ['API_KEY']",
        "secret_name: projects/example/secrets/main",
        "compass: N43W12",
        "private key: see /etc/ssl/private/key1.pem",
        "password: /run/secrets/db1",
        "passport = A1234567",
        "signing_key = load_key_2026(settings)",
        "primary_key=5d41402abc4b2a76b9719d911017c592",
        "access key is a nice feature of 2024",
        "密码学是一门科学",
        "password: ********",
        "token: aaaaaaaaaaaaaaaaaaaa1",
    ],
)
def test_prose_and_program_text_are_left_alone(text: str) -> None:
    assert found(text) == []
