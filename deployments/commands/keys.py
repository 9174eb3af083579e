"""Manage API keys: `python -m deployments.commands.keys add NAME | list | revoke NAME | rotate NAME`.

Works on the database that `SENSORIUM_JOBS_URL` or `SENSORIUM_DATA_DIR` names, whether or not the service runs; a change
is in force within five seconds. `add` and `rotate` print the key alone on standard output, once: only its hash is kept.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from deployments.principals.principal import CAPABILITIES, EVERY_SCOPE, Limits, Principal
from deployments.principals.table import PrincipalTable
from deployments.private import keep_private
from deployments.settings import Settings
from pipelines.contracts.errors import SensoriumError

UNLIMITED = "-"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 if it did what was asked."""
    arguments = _parser().parse_args(argv)
    settings = Settings()
    keep_private(settings.data_dir)
    table = PrincipalTable(settings.jobs_url)
    try:
        if arguments.command == "add":
            limits = Limits(**{name: getattr(arguments, name) for name in Limits.__dataclass_fields__})
            _, key = table.add(arguments.name, frozenset(arguments.scopes), limits)
            print(key)
        elif arguments.command == "rotate":
            _, key = table.rotate(arguments.name)
            print(key)
        elif arguments.command == "revoke":
            table.revoke(arguments.name)
            print(f"{arguments.name} has no access any more.", file=sys.stderr)
        else:
            print(_listing(table.list()))
    except SensoriumError as error:
        print(error.message, file=sys.stderr)
        return 1
    finally:
        table.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.commands.keys", description="Manage API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="add a principal and print its key")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--scopes",
        type=lambda text: [scope.strip() for scope in text.split(",") if scope.strip()],
        default=sorted(CAPABILITIES),
        help=f"separated by commas: {', '.join(sorted(EVERY_SCOPE))}; without this, all but admin",
    )
    add.add_argument("--requests-per-minute", type=_positive, help="of each ingress replica")
    add.add_argument("--concurrent", type=_positive, help="calls at once, of each ingress replica")
    add.add_argument("--queued-jobs", type=_positive, help="jobs that wait")
    add.add_argument("--bytes-stored", type=_positive, help="of documents")
    add.add_argument(
        "--expires", dest="expires_at", type=_time, metavar="DATE", help="2027-01-31 or 2027-01-31T12:00, UTC"
    )
    commands.add_parser("list", help="list the principals")
    commands.add_parser("revoke", help="end a principal's access").add_argument("name", metavar="NAME")
    rotate = commands.add_parser("rotate", help="print a new key in place of the old one, also after revoke")
    rotate.add_argument("name", metavar="NAME")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _time(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _listing(principals: list[Principal]) -> str:
    head = ("name", "key", "requests/min", "concurrent", "queued jobs", "bytes stored", "expires", "scopes")
    rows = [head, *(_row(principal) for principal in principals)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(principal: Principal) -> tuple[str, ...]:
    limits = principal.limits
    key = "revoked" if principal.revoked else f"{principal.key_prefix}…" if principal.key_prefix else "token"
    numbers = (limits.requests_per_minute, limits.concurrent, limits.queued_jobs, limits.bytes_stored)
    expires = UNLIMITED if limits.expires_at is None else f"{datetime.fromtimestamp(limits.expires_at, UTC):%F %R}"
    scopes = "every capability" if principal.scopes == CAPABILITIES else ",".join(sorted(principal.scopes))
    return (
        principal.name,
        key,
        *(UNLIMITED if number is None else f"{number}" for number in numbers),
        expires,
        scopes,
    )


if __name__ == "__main__":
    sys.exit(main())
