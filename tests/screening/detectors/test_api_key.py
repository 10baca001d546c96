"""Keys of services. Put together from pieces, so that no scanner takes them for real ones."""

from base64 import b64encode

import pytest

from headrace.screening.detectors.api_key import ApiKeyDetector

DETECTOR = ApiKeyDetector()


def found(text: str) -> list[str]:
    """The secret parts, without what is public."""
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


A20 = "a1B2c3D4e5F6g7H8i9J0"
DISCORD = "GhJk2L." + A20 + "aB3-E_7"
KEYS = [
    ("AKLT", "aB3dE6gH9" * 5),
    ("ALTAK-", A20),
    ("AKCp8", A20 * 3 + "a1B2c3D4"),
    ("EAAA", A20 * 3),
    ("SK", "a1b2c3d4" * 4),
    ("key-", "0f1e2d3c" * 4),
    ("xkeysib-", "a1b2c3d4" * 8 + "-" + "a1B2c3D4e5F6g7H8"),
    ("sntrys_", A20 * 3),
    ("glsa_", "a1B2c3D4" * 4 + "_0f1e2d3c"),
    ("NRAK-", "A1B2C3D4E5F6G7H8I9J0K1L2M3N"),
    ("hvs.", A20 + "abcd"),
    ("dp.pt.", A20 * 2),
    ("pul-", "0f1e2d3c" * 5),
    ("AGE-SECRET-KEY-1", "Q0W9E8R7T6" * 5 + "Q0W9E8R7"),
    ("lin_api_", A20 * 2),
    ("ntn_", A20 * 2 + "abc"),
    ("figd_", A20 * 2),
    ("PMAK-", A20 * 3),
    ("ATATT3", A20 * 4),
    ("CFPAT-", A20 * 2 + "abc"),
    ("pscale_tkn_", A20 * 2),
    ("sbp_", "0f1e2d3c" * 5),
    ("nfp_", A20 * 2),
    ("HRKU-", A20 * 2),
    ("dckr_pat_", A20 + "a1B2c3D4"),
    ("rubygems_", "0f1e2d3c" * 6),
    ("phx_", A20 * 2),
    ("r8_", A20 + "a1B2c3D4e5F6g7H8i"),
    ("tgp_v1_", A20 * 2),
    ("fw_", A20),
    ("lsv2_pt_", A20 * 2),
    ("AKIA", "IOSFODNN7EXAMPLE"),
    ("AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
    ("ghp_", "a1B2c3D4" * 4 + "e5F6"),
    ("github_pat_", "11ABCDEFG0" + "a1B2c3D4e5_F6g7H8" * 4),
    ("glpat-", A20),
    ("xoxb-", "123456789012-123456789012-AbCdEfGhIjKlMnOp"),
    ("sk-", A20 * 2),
    ("sk-", "ant-api03-" + A20 * 4),
    ("sk-", "proj-" + A20 * 3),
    ("sk_live_", A20),
    ("whsec_", A20 + "abcd"),
    ("hr-", A20 + "xyz"),
    ("hf_", A20 + "a1B2c3D4e5F6g7"),
    ("npm_", A20 + "a1B2c3D4e5F6g7H8"),
    ("pypi-", "AgEIcHlwaS5vcmc" + A20 * 3),
    ("SG.", A20 + "." + A20 * 2),
    ("gsk_", A20 * 2),
    ("dapi", "0123456789abcdef" * 2),
    ("LTAI", A20),
    ("dt0c01.", "A2B3C4D5E6F7" * 2 + "." + "A2B3C4D5" * 8),
    ("FLWSECK-", "0f1e2d3c" * 4 + "-X"),
    ("pnu_", "a1b2c3d4e5f6" * 3),
    ("hooks.slack.com/services/T01AB2CD3/B04EF5GH6/", A20 + "abcd"),
    (b64encode(b"80351110224678912").decode().rstrip("=") + ".", DISCORD),
    (b64encode(b"803511102246789123").decode() + ".", DISCORD),
    (b64encode(b"8035111022467891234").decode().rstrip("=") + ".", DISCORD),
]


@pytest.mark.parametrize(("head", "secret"), KEYS)
def test_keys_are_found_behind_their_prefix(head: str, secret: str) -> None:
    assert found(f"key {head}{secret}, rotate it") == [secret]
    assert found(f"密钥是{head}{secret}。") == [secret]
    assert found(f'{{"k":"{head}{secret}"}}') == [secret]


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-is-a-library-for-machine-learning",
        "sk-" + "x" * 30,
        "task-a1B2c3D4e5F6g7H8i9J0",
        "sk-SK is a locale",
        "AKIA is a prefix",
        "hr-department-and-finance-team",
        "ghp_short",
        "a long-hyphenated-word-without-any-meaning-at-all",
        "pk_live_a1B2c3D4e5F6g7H8i9J0",  # made to be public
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "MailTransportAgentSettings.server.connection_timeout_in_seconds",
    ],
)
def test_words_and_dummies_are_left_alone(text: str) -> None:
    assert found(text) == []
