"""The tables of principals, on SQLite and on a real PostgreSQL: the same tests."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from deployments.principals.principal import CAPABILITIES, EVERY_SCOPE, Limits, hash_of
from deployments.principals.table import PrincipalTable
from deployments.principals.usage import Usage, Used
from pipelines.contracts.errors import InvalidInput, NotFound, Overloaded


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'jobs.sqlite'}"
    server: str = request.getfixturevalue("postgres")
    with closing(PrincipalTable(server)) as table, table._transaction() as connection:
        connection.exec_driver_sql("TRUNCATE principals, results, usage, shares")
    return server


@pytest.fixture
def table(url: str) -> Iterator[PrincipalTable]:
    with closing(PrincipalTable(url)) as table:
        yield table


LIMITS = Limits(requests_per_minute=60, concurrent=2, queued_jobs=3, bytes_stored=5_000_000_000, expires_at=4e9)


def test_a_key_from_its_making_to_its_end(table: PrincipalTable) -> None:
    made, key = table.add("alice", CAPABILITIES, LIMITS)
    assert (made.scopes, made.limits, made.revoked) == (CAPABILITIES, LIMITS, False)
    assert key.startswith(made.key_prefix)
    assert len(key) >= 43, "256 bits"
    assert table.snapshot().keys == {hash_of(key): "alice"}
    assert table.list() == [made]
    _, second = table.rotate("alice")
    assert table.snapshot().keys == {hash_of(second): "alice"}
    assert table.revoke("alice").revoked
    assert table.snapshot().keys == {}
    with pytest.raises(InvalidInput, match="exists"):  # what is its own must not become another's
        table.add("alice", CAPABILITIES, Limits())
    again, third = table.rotate("alice")
    assert (again.revoked, again.limits) == (False, LIMITS)
    assert table.snapshot().keys == {hash_of(third): "alice"}


def test_no_key_is_kept(table: PrincipalTable, tmp_path: Path) -> None:
    _, key = table.add("alice", CAPABILITIES, Limits())
    with table._transaction() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM principals").all()
    assert key not in str(rows)
    assert hash_of(key) in str(rows)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "-a", "x" * 256, "a\nb", "a\n", "ä"])
def test_names_that_are_none(name: str, table: PrincipalTable) -> None:
    with pytest.raises(InvalidInput):
        table.add(name, CAPABILITIES, Limits())


def test_what_does_not_exist(table: PrincipalTable) -> None:
    for change in (table.revoke, table.rotate):
        with pytest.raises(NotFound):
            change("nobody")
    with pytest.raises(InvalidInput, match="No such scope: everything"):
        table.add("alice", frozenset({"everything"}), Limits())
    assert table.list() == []


def test_the_default_principal_keeps_every_scope(table: PrincipalTable) -> None:
    made, _ = table.add("default", frozenset({"chat"}), LIMITS)
    assert (made.scopes, made.limits) == (EVERY_SCOPE, LIMITS)


def test_whose_a_result_is(table: PrincipalTable) -> None:
    table.keep_results("alice", ["static/video/a.mp4", "static/video/a.txt"])
    table.keep_results("bob", ["static/video/a.mp4"])
    assert table.owner("static/video/a.mp4") == "alice", "the first is the one"
    assert table.owner("static/video/b.mp4") == "default"
    table.expire(3600)
    assert table.owner("static/video/a.txt") == "alice"
    with table._transaction() as connection:
        connection.exec_driver_sql("UPDATE results SET created_at = 1")
    table.expire(3600)
    assert table.owner("static/video/a.txt") == "default"


async def test_usage_adds_up_over_processes(table: PrincipalTable) -> None:
    meters = [Usage(table) for _ in range(4)]
    for meter in meters:
        meter.add("alice", calls=1, audio_s=0.5)
        meter.add("alice", calls=1, bytes=5_000_000_000)
        meter.add("bob", calls=1)
    await asyncio.gather(*(meter.flush() for meter in meters))
    await meters[0].flush()
    today = datetime.now(UTC).date()
    alice, bob = meters[0].read(today, today, None)
    assert alice == Used("alice", f"{today}", 8, 0, 2.0, 0, 0, 20_000_000_000)
    assert (bob.principal, bob.calls) == ("bob", 4)
    assert meters[0].read(today, today, "bob") == [bob]
    assert meters[0].read(date(2000, 1, 1), date(2000, 1, 2), None) == []


async def test_usage_waits_for_a_database_that_does_not_respond(table: PrincipalTable, tmp_path: Path) -> None:
    away = PrincipalTable("sqlite:////proc/none/jobs.sqlite")
    usage = Usage(away)
    usage.add("alice", calls=3)
    with pytest.raises(Overloaded):
        await usage.flush()
    usage.add("alice", calls=1)
    usage._database = table.database
    await usage.flush()
    today = datetime.now(UTC).date()
    assert [used.calls for used in usage.read(today, today, None)] == [4]


def test_shares(table: PrincipalTable) -> None:
    table.share("alice", "猫\0", "bob", "read")
    table.share("alice", "猫\0", "bob", "write")
    table.share("alice", "猫\0", "carol", "read")
    shares = table.snapshot().shares
    assert sorted((owner, whom, access) for (owner, _, whom), access in shares.items()) == [
        ("alice", "bob", "write"),
        ("alice", "carol", "read"),
    ]
    assert table.end_share("alice", "猫\0", "bob")
    assert not table.end_share("alice", "猫\0", "bob")
    assert not table.end_share("carol", "猫\0", "carol")
    assert len(table.snapshot().shares) == 1
