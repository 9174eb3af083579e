"""Which host names and addresses are loopback."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host name or address is only reachable from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
