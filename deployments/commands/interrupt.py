"""Stopping a command: by Ctrl-C or SIGTERM, from a shell's background, too."""

import signal


def raise_on_signals() -> None:
    """Have SIGINT and SIGTERM raise `KeyboardInterrupt`; a shell has its background commands ignore SIGINT."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _raise)


def _raise(*_: object) -> None:
    raise KeyboardInterrupt
