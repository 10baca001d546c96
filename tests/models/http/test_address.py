"""URLs of model servers: what they mean, and what is none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.http import Address


@pytest.mark.parametrize(
    ("url", "address", "host_header"),
    [
        ("http://localhost:8000", Address(host="localhost", port=8000), "localhost:8000"),
        ("http://model/", Address(host="model", port=80), "model"),
        ("HTTP://MODEL:80", Address(host="model", port=80), "model"),
        (
            "https://api.example.com/v1/",
            Address(host="api.example.com", port=443, base_path="/v1", tls=True),
            "api.example.com",
        ),
        ("https://model:80", Address(host="model", port=80, tls=True), "model:80"),
        ("http://[::1]:8000/v1", Address(host="::1", port=8000, base_path="/v1"), "[::1]:8000"),
        ("https://[2001:DB8::1]", Address(host="2001:db8::1", port=443, tls=True), "[2001:db8::1]"),
        ("http://[fe80::1%25lo]:8000", Address(host="fe80::1%lo", port=8000), "[fe80::1]:8000"),
        ("http://bücher.example", Address(host="xn--bcher-kva.example", port=80), "xn--bcher-kva.example"),
        ("http://model/a%20b/模型", Address(host="model", port=80, base_path="/a%20b/%E6%A8%A1%E5%9E%8B"), "model"),
        ("unix:/run/model.sock", Address(socket="/run/model.sock"), "localhost"),
        ("unix:///run/model.sock", Address(socket="/run/model.sock"), "localhost"),
        ("unix:/run/model.sock:/v1", Address(socket="/run/model.sock", base_path="/v1"), "localhost"),
    ],
)  # fmt: skip
def test_a_url_says_where(url: str, address: Address, host_header: str) -> None:
    assert Address.of(url) == address
    assert Address.of(url).authority == host_header


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no 'http://'"),
        ("localhost:8000", "no 'http://'"),
        ("api.example.com/v1", "no 'http://'"),
        ("ftp://model", "'ftp' is not a way"),
        ("wss://model", "'wss' is not a way"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://model:65536", "host or port is malformed"),
        ("http://model:eight", "host or port is malformed"),
        ("http://model:0", "port 0"),
        ("http://[::1", "host or port is malformed"),
        ("http://[v7.x]", "malformed|not an IPv6"),
        ("http://mo del", "no spaces"),
        ("http://model\r\nx: y", "control characters"),
        ("http://model/v1?key=1", "'\\?' or '#'"),
        ("http://model/v1#top", "'\\?' or '#'"),
        ("unix:model.sock", "unix:/absolute"),
        ("unix:/model.sock:v1", "unix:/absolute"),
        ("unix:/" + "a" * 107, "at most 107 bytes"),
        ("http://" + "模" * 70, "not a host name"),
    ],
)
def test_what_is_no_url_is_said(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Address.of(url)


@pytest.mark.parametrize(
    "url",
    ["https://user:hunter2@model", "https://hunter2@model:x", "http://u:hunter2@[::1", "u:hunter2@m"],
)  # fmt: skip
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Address.of(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for url in (text, f"http://{text}", f"unix:{text}"):
        try:
            address = Address.of(url)
        except ValueError:
            continue
        assert address.authority.isascii()
        assert re.fullmatch(r"[\x21-\x7e]*", address.base_path)
