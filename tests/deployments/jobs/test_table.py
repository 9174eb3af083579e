"""The job table, on SQLite and on a real PostgreSQL: the same tests."""

import multiprocessing
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from deployments.jobs.table import Job, JobTable, TooManyJobs
from pipelines.contracts.errors import InvalidInput, NotFound, Overloaded

ALL = ["track", "enhance"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'jobs.sqlite'}"
    server: str = request.getfixturevalue("postgres")
    with closing(JobTable(server)) as table, table._transaction() as connection:
        connection.exec_driver_sql("TRUNCATE jobs RESTART IDENTITY")
    return server


@pytest.fixture
def table(url: str) -> Iterator[JobTable]:
    with closing(JobTable(url)) as table:
        yield table


def submit(table: JobTable, name: str = "a", **given: object) -> Job:
    options = {"input": f"uploads/{name}", "fingerprint": name, "idempotency_key": None, "max_queued": 100}
    return table.submit("track", f'["{name}"]', **{**options, **given})[0]


def test_from_submission_to_the_end(table: JobTable) -> None:
    before_s = time.time()
    job = submit(table, input="uploads/a uploads/b")
    assert (job.state, job.progress, job.attempts, job.started_at) == ("queued", 0.0, 0, None)
    assert abs(job.created_at - before_s) < 5, "the database's clock"
    claimed = table.claim(ALL, 30)
    assert claimed is not None
    assert (claimed.id, claimed.token, claimed.arguments) == (job.id, 1, '["a"]')
    assert table.claim(ALL, 30) is None, "it is leased"
    assert table.mark_running(claimed, "classical", "none")
    assert table.renew(claimed, 30, 0.5, "reading")
    running = table.get(job.id)
    assert (running.state, running.progress, running.stage, running.engine) == ("running", 0.5, "reading", "classical")
    assert table.inputs_in_use() == {"uploads/a", "uploads/b"}
    assert table.leftovers() == []
    assert table.succeed(claimed, '{"x": 1}')
    ended = table.get(job.id)
    assert (ended.state, ended.progress, ended.stage, ended.result, ended.attempts) == (
        "succeeded", 1.0, None, '{"x": 1}', 1,
    )  # fmt: skip
    assert ended.created_at <= ended.started_at <= ended.ended_at
    assert table.inputs_in_use() == set()
    assert table.leftovers() == [(job.number, ["uploads/a", "uploads/b"])]
    assert table.expire(0) == 0, "its uploads come first"
    table.forget_input(job.number)
    assert table.expire(3600) == 0
    time.sleep(0.01)
    assert table.expire(0) == 1
    with pytest.raises(NotFound):
        table.get(job.id)


def test_a_late_worker_changes_nothing(table: JobTable) -> None:
    job = submit(table)
    late = table.claim(ALL, 0.05)
    time.sleep(0.1)
    new = table.claim(ALL, 30)
    assert (late.id, new.id, late.token, new.token) == (job.id, job.id, 1, 2)
    assert table.lost_leases({job.number: 1}) == {job.number}
    assert table.lost_leases({job.number: 2}) == set()
    assert table.mark_running(new, "e", "m")
    assert not table.mark_running(late, "late", "m")
    assert not table.renew(late, 30, 0.9, "late")
    assert not table.requeue(late, 0)
    assert not table.fail(late, "late", "late")
    assert not table.succeed(late, '"late"')
    assert table.succeed(new, '"new"')
    assert not table.succeed(new, '"again"')
    ended = table.get(job.id)
    assert (ended.result, ended.engine, ended.error_code) == ('"new"', "e", None)


def test_cancelled_is_the_end(table: JobTable) -> None:
    first, second = submit(table, "a"), submit(table, "b")
    claimed = table.claim(ALL, 30)
    for job in (first, second):
        assert table.cancel(job.id).state == "cancelled"
    assert not table.succeed(claimed, '"x"')
    assert table.lost_leases({first.number: claimed.token}) == {first.number}
    assert table.claim(ALL, 30) is None
    done = submit(table, "c")
    assert table.succeed(table.claim(ALL, 30), '"x"')
    assert table.cancel(done.id).state == "succeeded", "what has ended stays"
    with pytest.raises(NotFound):
        table.cancel("job_none")


def test_a_requeued_job_waits(table: JobTable) -> None:
    first, second = submit(table, "a"), submit(table, "b")
    assert table.requeue(table.claim(ALL, 30), 0.3)
    assert table.claim(ALL, 30).id == second.id, "the older one is not to be tried yet"
    assert table.claim(ALL, 30) is None
    time.sleep(0.35)
    assert table.claim(ALL, 30).id == first.id


def test_oldest_first_and_only_what_there_is_room_for(table: JobTable) -> None:
    jobs = [submit(table, str(index)) for index in range(3)]
    other, _ = table.submit("enhance", "[]", input=None, fingerprint="x", idempotency_key=None, max_queued=100)
    assert table.claim(["enhance"], 30).id == other.id
    assert [table.claim(ALL, 30).id for _ in jobs] == [job.id for job in jobs]
    assert table.claim([], 30) is None


def test_bounded(table: JobTable) -> None:
    for index in range(3):
        submit(table, str(index), max_queued=3)
    with pytest.raises(TooManyJobs) as caught:
        submit(table, "one more", max_queued=3)
    assert caught.value.retry_after_s > 0
    table.mark_running(table.claim(ALL, 30), "e", "m")
    submit(table, "one more", max_queued=3)


def test_the_same_key_is_the_same_job(table: JobTable) -> None:
    first = submit(table, "a", idempotency_key="k")
    again, is_new = table.submit(
        "track", "[]", input="uploads/other", fingerprint="a", idempotency_key="k", max_queued=1
    )
    assert (again.id, is_new) == (first.id, False)
    with pytest.raises(InvalidInput) as caught:
        submit(table, "b", idempotency_key="k")
    assert caught.value.param == "Idempotency-Key"
    assert submit(table, "b", idempotency_key="l").id != first.id
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: submit(table, "c", idempotency_key="m").id, range(24)))
    assert len(ids) == 1


def test_pages_newest_first(table: JobTable) -> None:
    ids = [submit(table, str(index)).id for index in range(5)]
    first = [job.id for job in table.list_recent(2, None, 0)]
    then = [job.id for job in table.list_recent(5, first[-1], 0)]
    assert first + then == ids[::-1]
    with pytest.raises(NotFound):
        table.list_recent(2, "job_none", 0)
    table.cancel(ids[0])
    assert len(table.list_recent(10, None, time.time() + 60)) == 4, "what has expired is not listed"


def take(url: str) -> list[int]:
    with closing(JobTable(url)) as table, ThreadPoolExecutor(3) as pool:
        return [number for each in pool.map(take_with, [table] * 3) for number in each]


def take_with(table: JobTable) -> list[int]:
    taken = []
    while (job := table.claim(ALL, 60)) is not None:
        taken.append(job.number)
        assert table.mark_running(job, "e", "m")
        assert table.succeed(job, str(job.number))
    return taken


def test_processes_at_once_do_each_job_once(url: str, table: JobTable) -> None:
    jobs = [submit(table, str(index)) for index in range(60)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        taken = [number for each in pool.map(take, [url] * 2) for number in each]
    assert Counter(taken) == Counter(job.number for job in jobs)
    ended = [table.get(job.id) for job in jobs]
    assert {(job.state, job.attempts, job.token) for job in ended} == {("succeeded", 1, 1)}


def test_a_database_that_does_not_respond() -> None:
    with pytest.raises(Overloaded):
        JobTable("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2").get("x")
    with pytest.raises(Overloaded):
        JobTable("sqlite:////proc/none/jobs.sqlite").get("x")


def test_principals_share_no_job_and_no_key(table: JobTable) -> None:
    default = submit(table, idempotency_key="k")
    alice = submit(table, idempotency_key="k", principal="alice")
    bob = submit(table, "b", idempotency_key="k", principal="bob")
    assert len({default.id, alice.id, bob.id}) == 3
    assert submit(table, idempotency_key="k", principal="alice").id == alice.id
    assert table.get(alice.id, "alice").principal == "alice"
    for foreign in (alice.id, default.id):
        with pytest.raises(NotFound):
            table.get(foreign, "bob")
        with pytest.raises(NotFound):
            table.cancel(foreign, "bob")
        with pytest.raises(NotFound):
            table.list_recent(2, foreign, 0, "bob")
    assert [job.id for job in table.list_recent(9, None, 0, "bob")] == [bob.id]
    assert [job.id for job in table.list_recent(9, None, 0)] == [default.id]
    assert table.get(alice.id, "alice").state == "queued"


def test_a_principal_at_its_limit_leaves_room_for_others(table: JobTable) -> None:
    for index in range(2):
        submit(table, str(index), principal="alice", max_own=2)
    with pytest.raises(TooManyJobs):
        submit(table, "more", principal="alice", max_own=2)
    submit(table, "b", principal="bob", max_own=2)


def test_principals_take_turns(table: JobTable) -> None:
    many = [submit(table, str(index), principal="alice") for index in range(4)]
    few = [submit(table, f"b{index}", principal="bob") for index in range(2)]
    claimed = [table.claim(ALL, 30).id for _ in range(6)]
    first, second, third, fourth = (job.id for job in many)
    assert claimed == [first, few[0].id, second, few[1].id, third, fourth]


EARLIER = """
CREATE TABLE jobs (
    number INTEGER NOT NULL, id VARCHAR(40) NOT NULL, operation VARCHAR(64) NOT NULL, arguments TEXT NOT NULL,
    input VARCHAR(128), idempotency_key VARCHAR(255), fingerprint VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
    progress FLOAT NOT NULL, stage VARCHAR(255), engine VARCHAR(64), model VARCHAR(255), attempts INTEGER NOT NULL,
    token INTEGER NOT NULL, lease_until FLOAT, not_before FLOAT NOT NULL, created_at FLOAT NOT NULL, started_at FLOAT,
    ended_at FLOAT, result TEXT, error_code VARCHAR(64), error_message TEXT,
    PRIMARY KEY (number), UNIQUE (id), UNIQUE (operation, idempotency_key)
);
CREATE INDEX jobs_by_state ON jobs (state, number);
INSERT INTO jobs (number, id, operation, arguments, idempotency_key, fingerprint, state, progress, attempts, token,
    not_before, created_at) VALUES (7, 'job_old', 'track', '["a"]', 'k', 'a', 'queued', 0, 0, 0, 0, 1700000000);
"""


def test_a_database_of_an_earlier_release(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as old:
        old.executescript(EARLIER)
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(lambda table: table.get("job_old"), [JobTable(url) for _ in range(4)]))
    assert {(job.number, job.principal) for job in jobs} == {(7, "default")}
    with closing(JobTable(url)) as table:
        assert submit(table, idempotency_key="k").id == "job_old"
        assert submit(table, idempotency_key="k", principal="alice").id != "job_old"
        assert table.claim(ALL, 30).id == "job_old"
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as again:  # and the earlier release can still write to it
        again.executescript(EARLIER.split(";")[2].replace("7, 'job_old'", "99, 'job_older'").replace("'k'", "NULL"))
    with closing(JobTable(url)) as table:
        assert table.get("job_older").principal == "default"
