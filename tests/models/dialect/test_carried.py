"""What rides on the id of a tool call comes back as it was, or not at all."""

import base64
import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from headrace.models.dialect.carried import bare_id, carry, fitting_id, payload_of

IDS = st.text("abcXYZ019_-:.", min_size=1, max_size=40).filter(lambda each: "__hr" not in each)
MARKS = st.sampled_from(["a", "b", "g"])


@given(call_id=IDS, mark=MARKS, payload=st.binary(max_size=500))
def test_what_is_carried_comes_back_to_its_own_provider_alone(
    call_id: str, mark: str, payload: bytes
) -> None:
    carried = carry(call_id, mark, payload)  # type: ignore[arg-type]  # one of the three marks
    assert bare_id(carried) == call_id
    assert re.fullmatch(r"[A-Za-z0-9_-]+", carried.removeprefix(call_id))
    for other in ("a", "b", "g"):
        found = payload_of(carried, other)
        assert found == (payload if other == mark else None)


@given(call_id=st.text(max_size=300), max_chars=st.integers(37, 256))
def test_every_provider_gets_an_id_that_it_takes(call_id: str, max_chars: int) -> None:
    fitting = fitting_id(call_id, max_chars=max_chars)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", fitting)
    assert len(fitting) <= max_chars
    assert fitting_id(call_id, max_chars=max_chars) == fitting


def test_a_payload_makes_no_difference_to_the_fitting_id() -> None:
    assert fitting_id(carry("toolu_1", "a", b"x"), max_chars=64) == "toolu_1"


def test_ids_of_others_carry_nothing() -> None:
    for call_id in ("call_abc", "", "__hra_", "x__hra_!!", "x__hra_AAAA", "x__hrz_eJw"):
        assert payload_of(call_id, "a") is None


def test_what_is_damaged_or_grows_without_bound_is_left() -> None:
    carried = carry("x", "a", b"payload")
    assert payload_of(carried[:-4], "a") is None
    bomb = base64.urlsafe_b64encode(zlib.compress(b"0" * 10_000_000)).decode().rstrip("=")
    assert payload_of(f"x__hra_{bomb}", "a") is None


def test_what_is_too_long_is_not_carried() -> None:
    noise = b"".join(i.to_bytes(3, "big") for i in range(0, 16_000_000, 257))
    assert carry("x", "a", noise) == "x"
