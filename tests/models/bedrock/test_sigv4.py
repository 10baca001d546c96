"""Our signatures are botocore's, whatever is signed."""

from datetime import UTC, datetime

import pytest
from botocore.auth import BearerAuth, SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as TheirCredentials  # type: ignore[import-untyped]
from botocore.tokens import FrozenAuthToken  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.backend import Call
from headrace.models.bedrock.backend import BedrockWire
from headrace.models.bedrock.settings import BedrockSettings
from headrace.models.bedrock.sigv4 import Credentials, host_of, signed_headers
from headrace.types import Message, Params

LETTERS = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
# Escaped once, as they go onto the wire.
SEGMENTS = st.text("abcXYZ019-_~%:$@=+,!*'()", min_size=1, max_size=20)
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.lists(
    st.tuples(st.text("abc%2F~", min_size=1, max_size=8), st.text("xyz0", max_size=8)), max_size=4
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
NAMES = st.text("abcdefXYZ-", min_size=1, max_size=12).map(lambda name: f"x-amz-q{name}")


def theirs(
    credentials: Credentials,
    method: str,
    url: str,
    body: bytes,
    headers: dict[str, str],
    at: str,
) -> str:
    """The Authorization header that botocore makes."""
    signer = SigV4Auth(
        TheirCredentials(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token
        ),
        "bedrock",
        "eu-west-1",
    )
    sent = {**headers, "X-Amz-Date": at}
    if credentials.session_token is not None:
        sent["X-Amz-Security-Token"] = credentials.session_token
    request = AWSRequest(method=method, url=url, data=body, headers=sent)
    request.context["timestamp"] = at
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return str(request.headers["Authorization"])


@given(
    method=st.sampled_from(["GET", "POST"]),
    host=st.sampled_from(["bedrock-runtime.eu-west-1.amazonaws.com", "localhost:8080", "[::1]:9"]),
    path=PATHS,
    query=QUERIES,
    body=st.binary(max_size=200),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    secret=st.text(LETTERS, min_size=1, max_size=40),
    token=st.none() | st.text(LETTERS, min_size=1, max_size=60),
    now=st.integers(1_500_000_000, 2_500_000_000),
)
def test_every_request_is_signed_as_botocore_signs_it(
    method: str,
    host: str,
    path: str,
    query: str,
    body: bytes,
    headers: dict[str, str],
    secret: str,
    token: str | None,
    now: int,
) -> None:
    # botocore joins values of names that differ in their case only, in an order of its own.
    headers = {name.lower(): value for name, value in headers.items()}
    credentials = Credentials("AKIDEXAMPLE", secret, token)
    target = f"{path}?{query}" if query else path
    ours = signed_headers(
        credentials,
        method=method,
        host=host,
        path=target,
        body=body,
        region="eu-west-1",
        service="bedrock",
        now=now,
        headers=list(headers.items()),
    )
    at = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    named = dict(ours)
    assert named["x-amz-date"] == at
    assert named.get("x-amz-security-token") == token
    expected = theirs(credentials, method, f"http://{host}{target}", body, headers, at)
    assert named["authorization"] == expected


def test_amazons_own_example() -> None:
    """`get-vanilla` of the Signature Version 4 test suite."""
    ours = signed_headers(
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        method="GET",
        host="example.amazonaws.com",
        path="/",
        body=b"",
        region="us-east-1",
        service="service",
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp(),
    )
    assert dict(ours)["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "bedrock-runtime.us-east-1.amazonaws.com",
        ),
        ("https://proxy.example:443/aws", "proxy.example"),
        ("https://proxy.example:80", "proxy.example:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_the_host_is_what_will_be_sent(url: str, host: str) -> None:
    assert host_of(url) == host


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "very-secret", "token"))
    assert "very-secret" not in shown
    assert "token'" not in shown


def test_an_api_key_is_sent_as_botocore_sends_it() -> None:
    settings = BedrockSettings(model="m", aws_region="us-east-1", base_url="https://b.example")
    wire = BedrockWire(settings, "bedrock-api-key-1")
    request = wire.generate(Call([Message(role="user", content="Hi")], Params()))
    expected = AWSRequest(method="POST", url="https://b.example/", data=b"{}")
    BearerAuth(FrozenAuthToken("bedrock-api-key-1")).add_auth(expected)
    assert dict(request.headers)["authorization"] == expected.headers["Authorization"]
