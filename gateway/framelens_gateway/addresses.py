"""Addresses as URLs and gRPC targets write them."""


def host_port(host: str, port: int) -> str:
    """HOST:PORT; of IPv6, the host stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
