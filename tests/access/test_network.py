"""Which addresses may be reached: none inside, in whatever way they are written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.network import is_reachable, read_network


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "::", "::1",
        "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1", "2002:7f00:1::", "2002:a00:1::", "localhost", "", "8.8.8",
        "::8.8.8.8", "64:ff9b:1::1", "fec0::1", "168.63.129.16",
    ],
)  # fmt: skip
def test_an_address_inside_is_not_reachable(address: str) -> None:
    assert not is_reachable(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
)
def test_a_public_address_is(address: str) -> None:
    assert is_reachable(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_what_is_named_is_reachable_and_nothing_beside_it(address: str) -> None:
    assert is_reachable(address, [read_network("10.1.0.0/16")])
    assert not is_reachable(address, [read_network("10.2.0.0/16"), read_network("fd00::/8")])


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_an_ipv6_one_is_as_reachable_as_itself(
    address: ipaddress.IPv4Address,
) -> None:
    assert is_reachable(f"::ffff:{address}") == is_reachable(str(address))
