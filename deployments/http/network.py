"""Which host names and addresses are loopback, and the name of the session's cookie."""

from ipaddress import ip_address

HOW_TO_PROTECT = "set SENSORIUM_API_KEYS, add one by `python -m deployments.commands.keys`, or serve 127.0.0.1 only"
"""For whoever would serve other addresses without keys."""

COOKIE = "sensorium_session"
"""Of a person who has signed in on the console."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is only reachable from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
