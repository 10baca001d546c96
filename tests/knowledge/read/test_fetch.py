"""Fetching: what a URL leads to arrives, and no URL leads inside, whatever it tries."""

import gzip
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.errors import AddressRefused, UnreadableDocument
from headrace.knowledge.read.fetch import MAX_REDIRECTS, fetch
from headrace.knowledge.read.read import read
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source
from tests.knowledge.read.conftest import Names, Site
from tests.models.http.certificates import Authority

HERE = [["127.0.0.1"]]
INSIDE = ReadSettings(private_hosts=("docs.test",))


async def fetched(url: str, names: Names, settings: ReadSettings = INSIDE) -> Source:
    source = await fetch(url, settings, lookup=names)
    assert source is not None
    return source


async def test_a_page_arrives_from_the_address_that_was_checked(site: Site) -> None:
    site.page("/a?b=1", b"hello", etag='"v1"', last_modified="Tue, 01 Sep 2026 10:00:00 GMT")
    port = await site.listen()
    names = Names(docs_test=[["127.0.0.1"], ["169.254.169.254"]])
    url = f"http://docs.test:{port}/a?b=1"
    source = await fetched(url, names)
    assert (source.uri, source.data, source.etag) == (url, b"hello", '"v1"')
    assert names.asked == ["docs.test"]
    assert f"host: docs.test:{port}" in site.asked[0].lower()


async def test_a_page_that_has_not_changed_is_not_sent_again(site: Site) -> None:
    site.page("/a", b"", status="304 Not Modified")
    port = await site.listen()
    url, names = f"http://docs.test:{port}/a", Names(docs_test=HERE)
    assert await fetch(url, INSIDE, '"v1"', "yesterday", lookup=names) is None
    assert 'if-none-match: "v1"\r\nif-modified-since: yesterday' in site.asked[0].lower()
    with pytest.raises(UnreadableDocument, match="304"):
        await fetch(url, INSIDE, lookup=names)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
    ],
)
async def test_private_addresses_are_refused(address: str) -> None:
    for answer in ([address], ["93.184.216.34", address]):
        with pytest.raises(AddressRefused) as caught:
            await fetch("http://a.test/", ReadSettings(), lookup=Names(a_test=[answer]))
        assert caught.value.hint


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
async def test_metadata_is_refused_even_to_hosts_that_may_be_private(address: str) -> None:
    with pytest.raises(AddressRefused, match="no document comes from"):
        await fetch("http://docs.test/", INSIDE, lookup=Names(docs_test=[[address]]))


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://2130706433/", "http://[::1]/", "http://localhost./x"]
)
async def test_this_machine_is_refused_under_all_its_names(url: str) -> None:
    with pytest.raises(AddressRefused):
        await fetch(url, ReadSettings())


async def test_a_redirect_is_followed_and_the_source_keeps_its_url(site: Site) -> None:
    port = await site.listen()
    site.redirect("/latest", "/v2/guide.md")
    site.page("/v2/guide.md", b"# Guide\n\nText.")
    source = await fetched(f"http://docs.test:{port}/latest", Names(docs_test=HERE))
    (document,) = read(source)
    assert (document.uri, document.title) == (f"http://docs.test:{port}/latest", "Guide")


async def test_a_redirect_to_the_metadata_address_is_refused(site: Site) -> None:
    port = await site.listen()
    site.redirect("/", "http://169.254.169.254/latest/meta-data/")
    names = Names(docs_test=HERE, **{"169_254_169_254": [["169.254.169.254"]]})
    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=names)


async def test_a_name_that_means_another_address_at_the_second_hop_is_refused(site: Site) -> None:
    port = await site.listen()
    site.redirect("/", "/again")
    names = Names(docs_test=[["127.0.0.1"], ["169.254.169.254"]])
    with pytest.raises(AddressRefused):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=names)
    assert len(site.asked) == 1


async def test_a_public_host_does_not_lead_to_a_private_one_that_is_named(site: Site) -> None:
    port = await site.listen()
    site.redirect("/", f"http://other.test:{port}/")
    names = Names(docs_test=HERE, other_test=HERE)
    with pytest.raises(AddressRefused, match=r"other\.test"):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=names)
    settings = ReadSettings(private_hosts=("docs.test", "other.test"))
    site.redirect("/", f"http://other.test:{port}/b")
    site.page("/b", b"b")
    assert (await fetched(f"http://docs.test:{port}/", names, settings)).data == b"b"


async def test_a_loop_of_redirects_ends(site: Site) -> None:
    port = await site.listen()
    site.redirect("/", "/")
    with pytest.raises(UnreadableDocument, match=f"more than {MAX_REDIRECTS} times"):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=Names(docs_test=HERE))
    assert len(site.asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://docs.test/a", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("docs.test/a", "http or https"),
        ("http://", "no host"),
        ("http://docs.test:-1/", "no host and port"),
        ("http://docs.test:99999/", "no host and port"),
        ("http://docs.test/\ud800", "cannot be fetched"),
        ("http://docs.test/" + "x" * 70_000, "cannot be fetched"),
        ("http://[::1", "cannot be fetched"),
        ("http://user:hunter2@docs.test/", "user or password"),
    ],
)
async def test_urls_that_are_no_addresses_of_documents_are_refused(url: str, reason: str) -> None:
    with pytest.raises(UnreadableDocument, match=reason) as caught:
        await fetch(url, INSIDE, lookup=Names(docs_test=HERE))
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=20), st.sampled_from(["http://", "https://", "http://b:", "http://b/", ""]))
async def test_any_text_is_a_url_or_a_clear_error(text: str, front: str) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    with pytest.raises(UnreadableDocument) as caught:
        await fetch(front + text, ReadSettings(), lookup=lookup)
    assert caught.value.hint


async def test_a_redirect_to_another_scheme_is_refused(site: Site) -> None:
    port = await site.listen()
    site.redirect("/", "file:///etc/passwd")
    with pytest.raises(UnreadableDocument, match="'file'"):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=Names(docs_test=HERE))


SMALL = ReadSettings(private_hosts=("docs.test",), max_mb=0.1)


async def test_a_stream_without_end_is_cut_at_the_limit(site: Site) -> None:
    port = await site.listen()
    site.pages["/"] = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-endless: 1\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    with pytest.raises(UnreadableDocument, match="more than 100,000 bytes"):
        await fetch(f"http://docs.test:{port}/", SMALL, lookup=Names(docs_test=HERE))
    await site.gone.wait()


async def test_a_size_that_is_announced_is_believed(site: Site) -> None:
    port = await site.listen()
    site.page("/", b"", content_length="9" * 18)
    with pytest.raises(UnreadableDocument, match="more than 100,000 bytes"):
        await fetch(f"http://docs.test:{port}/", SMALL, lookup=Names(docs_test=HERE))


async def test_gzip_is_unpacked_and_its_bombs_are_refused(site: Site) -> None:
    port = await site.listen()
    names, url = Names(docs_test=HERE), f"http://docs.test:{port}/"
    site.page("/", gzip.compress("知识".encode()), content_encoding="gzip")
    assert (await fetched(url, names)).data == "知识".encode()
    site.page("/", gzip.compress(bytes(50_000_000)), content_encoding="gzip")
    with pytest.raises(UnreadableDocument, match="more than 100,000 bytes"):
        await fetch(url, SMALL, lookup=names)
    for body in (gzip.compress(b"x" * 1000)[:-5], b"no gzip"):
        site.page("/", body, content_encoding="gzip")
        with pytest.raises(UnreadableDocument, match="gzip is broken"):
            await fetch(url, SMALL, lookup=names)
    site.page("/", b"x", content_encoding="br")
    with pytest.raises(UnreadableDocument, match="'br'"):
        await fetch(url, SMALL, lookup=names)


@pytest.mark.parametrize(
    "head", [b"", b"content-type: text/plain\r\ncontent-length: 9\r\n\r\nslow"]
)
async def test_a_server_that_says_no_more_is_given_up(site: Site, head: bytes) -> None:
    port = await site.listen()
    site.pages["/"] = b"HTTP/1.1 200 OK\r\nx-silent: 1\r\n" + head
    settings = ReadSettings(private_hosts=("docs.test",), url_timeout_s=0.3)
    with pytest.raises(UnreadableDocument, match=r"not read after 0\.3 seconds"):
        await fetch(f"http://docs.test:{port}/", settings, lookup=Names(docs_test=HERE))
    await site.gone.wait()


@pytest.mark.parametrize(
    ("status", "media_type", "reason"),
    [
        ("404 Not Found", "text/html", "404 Not Found"),
        ("200 OK", "image/png", "no reader for image/png"),
        ("200 OK", "application/octet-stream", "no reader"),
    ],
)
async def test_what_is_no_document_is_not_loaded(
    site: Site, status: str, media_type: str, reason: str
) -> None:
    port = await site.listen()
    site.page("/", b"x", status=status, content_type=media_type)
    with pytest.raises(UnreadableDocument, match=reason):
        await fetch(f"http://docs.test:{port}/", INSIDE, lookup=Names(docs_test=HERE))


async def test_the_encoding_that_the_server_names_is_used(site: Site) -> None:
    port = await site.listen()
    site.page("/", "<p>短文</p>".encode("gbk"), content_type="text/html; charset=GB2312")
    source = await fetched(f"http://docs.test:{port}/", Names(docs_test=HERE))
    assert read(source)[0].text == "短文"


async def test_certificates_are_checked_for_the_name_not_the_address(
    site: Site, tmp_path: Path
) -> None:
    authority = Authority.made(tmp_path)
    site.page("/", b"safe")
    port = await site.listen(authority.sign("docs.test").server())

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authority.file))

    names = Names(docs_test=HERE, other_test=HERE)
    settings = ReadSettings(private_hosts=("docs.test", "other.test"))
    source = await fetch(f"https://docs.test:{port}/", settings, lookup=names, trust=trust)
    assert source is not None
    assert source.data == b"safe"
    for url, trusted in (("other.test", trust), ("docs.test", ssl.create_default_context)):
        with pytest.raises(UnreadableDocument, match="certificate verify failed"):
            await fetch(f"https://{url}:{port}/", settings, lookup=names, trust=trusted)
    site.redirect("/", f"http://docs.test:{port}/")
    with pytest.raises(UnreadableDocument, match="from https to http"):
        await fetch(f"https://docs.test:{port}/", settings, lookup=names, trust=trust)


async def test_the_next_address_is_tried_when_one_does_not_answer(site: Site) -> None:
    port = await site.listen()
    site.page("/", b"x")
    names = Names(docs_test=[["127.0.0.2", "127.0.0.1"]])
    assert (await fetched(f"http://docs.test:{port}/", names)).data == b"x"


async def test_proxies_of_the_environment_are_not_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    port = await site.listen()
    site.page("/", b"x")
    assert (await fetched(f"http://docs.test:{port}/", Names(docs_test=HERE))).data == b"x"
