"""From a conversation's id to its page's address and back, whatever the id is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.console.address import address_of, conversation_at


@given(st.text(min_size=1).filter(str.isprintable))
def test_an_address_leads_back_to_its_conversation(conversation: str) -> None:
    address = address_of(conversation)
    assert conversation_at("http://127.0.0.1:8080" + address) == conversation
    assert conversation_at(address + "?from=list#log") == conversation
    assert address.removeprefix("/c/").find("/") == -1


@pytest.mark.parametrize("url", ["", "/", "http://127.0.0.1/", "/traces/c/1", "/conversations"])
def test_any_other_page_shows_no_conversation(url: str) -> None:
    assert conversation_at(url) is None
