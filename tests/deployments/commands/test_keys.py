"""The command for keys, as people run it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.commands import keys
from deployments.principals.principal import CAPABILITIES, Limits, hash_of
from deployments.principals.table import PrincipalTable


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrincipalTable]:
    monkeypatch.setenv("SENSORIUM_DATA_DIR", str(tmp_path))
    umask = os.umask(0o022)  # the command sets its own
    yield PrincipalTable(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    os.umask(umask)


@pytest.mark.usefixtures("table")
def test_its_files_are_their_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "fresh"
    monkeypatch.setenv("SENSORIUM_DATA_DIR", str(data))
    assert keys.main(["add", "alice"]) == 0
    assert [path.stat().st_mode & 0o077 for path in (data, *data.rglob("*"))] == [0] * (1 + len(list(data.rglob("*"))))
    assert list(data.glob("*.sqlite"))


def test_add_prints_the_key_alone(table: PrincipalTable, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["add", "alice"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert table.snapshot().keys == {hash_of(printed.strip()): "alice"}
    [alice] = table.list()
    assert (alice.scopes, alice.limits) == (CAPABILITIES, Limits())


def test_scopes_and_limits(table: PrincipalTable, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--scopes chat,admin --requests-per-minute 60 --concurrent 2 --queued-jobs 3 --bytes-stored 1000"
    assert keys.main(["add", "ops", *options.split(), "--expires", "2127-01-31"]) == 0
    [ops] = table.list()
    assert ops.scopes == {"chat", "admin"}
    assert ops.limits == Limits(60, 2, 3, 1000, expires_at=4_957_027_200)
    capsys.readouterr()
    assert keys.main(["list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "name"
    assert row.split()[:2] == ["ops", f"{ops.key_prefix}…"]
    assert "2127-01-31" in row
    assert "admin,chat" in row


def test_rotate_and_revoke(table: PrincipalTable, capsys: pytest.CaptureFixture[str]) -> None:
    keys.main(["add", "alice"])
    first = capsys.readouterr().out.strip()
    assert keys.main(["rotate", "alice"]) == 0
    second = capsys.readouterr().out.strip()
    assert first != second
    assert table.snapshot().keys == {hash_of(second): "alice"}
    assert keys.main(["revoke", "alice"]) == 0
    assert capsys.readouterr().out == ""
    assert table.snapshot().keys == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "a b"], "A name is"),
        (["add", "alice", "--scopes", "everything"], "No such scope: everything"),
        (["revoke", "nobody"], "no such principal"),
        (["rotate", "nobody"], "no such principal"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], words: str, table: PrincipalTable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.main(arguments) == 1
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("option", ["--concurrent=0", "--expires=soon", "--requests-per-minute=x"])
def test_options_that_mean_nothing(option: str, table: PrincipalTable) -> None:
    with pytest.raises(SystemExit, match="2"):
        keys.main(["add", "alice", option])
    assert table.list() == []
