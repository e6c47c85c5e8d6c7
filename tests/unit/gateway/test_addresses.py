"""Addresses as URLs and gRPC targets write them."""

from framelens_gateway.addresses import host_port


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert host_port("127.0.0.1", 80) == "127.0.0.1:80"
    assert host_port("localhost", 80) == "localhost:80"
    assert host_port("::1", 80) == "[::1]:80"
