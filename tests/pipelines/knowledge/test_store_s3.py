"""The store in a bucket of a real S3 server, and on servers on which it would lose documents."""

import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipelines.contracts.errors import ModelUnavailable
from pipelines.knowledge.index.store import KnowledgeStore
from tests.pipelines.knowledge.test_store import begin, check_whole, finish, writers
from tests.pipelines.knowledge.vectors import DIMENSION, MODEL, put, unit
from tests.roles import serving_role
from tests.s3 import S3Server


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Answers as S3 servers do that ignore `If-None-Match`: every PUT succeeds."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Delete what is named, and say so."""
        request = self.rfile.read(int(self.headers["Content-Length"]))
        deleted = b"".join(b"<Deleted>%s</Deleted>" % key for key in re.findall(rb"<Key>.*?</Key>", request))
        body = b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</DeleteResult>' % deleted
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def forgetful() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def assume(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)


def test_a_server_that_would_lose_documents_is_refused(
    forgetful: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assume(monkeypatch, {name: forgetful if "ENDPOINT" in name else value for name, value in s3_server.env.items()})
    with pytest.raises(ModelUnavailable, match="If-None-Match"):
        KnowledgeStore.open("s3://bucket/knowledge", model=MODEL, dimension=DIMENSION)


def test_wrong_credentials(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assume(monkeypatch, s3_server.env | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(ModelUnavailable, match="credentials"):
        KnowledgeStore.open(f"s3://{s3_server.bucket}/knowledge", model=MODEL, dimension=DIMENSION)


def test_processes_at_once_in_a_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assume(monkeypatch, s3_server.env)
    url = f"s3://{s3_server.bucket}/knowledge"
    processes = writers(url, ["a", "b"], 2)
    begin(processes)
    acknowledged = finish(processes)
    assert len(acknowledged) == 2 + 2 * 2
    store = KnowledgeStore.open(url, model=MODEL, dimension=DIMENSION)
    check_whole(store, acknowledged)
    record = put(store, "other", "猫", text="a red car")
    store.maintain()
    assert store.search("other", "red car", unit(0), 1)[0].document == "猫.txt"
    assert store.delete_document("other", record.id)
    check_whole(store, acknowledged)


@pytest.mark.parametrize("way", ["container", "process"])
def test_a_role_is_followed_and_renewed(
    s3_server: S3Server, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving_role(s3_server) as role:
        role.assume(monkeypatch, way, tmp_path)
        role.lifetime_s = 30
        url = f"s3://{s3_server.bucket}/{tmp_path.name}"
        store = KnowledgeStore.open(url, model=MODEL, dimension=DIMENSION)
        handed_out = role.handed_out
        assert handed_out >= 2, "to the probe and to LanceDB"
        put(store, "cars", "car", text="a red car")
        assert store.search("cars", "red car", unit(0), 1)[0].document == "car.txt"
        assert role.handed_out > handed_out, "before it expires"
