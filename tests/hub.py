"""A small hub on loopback for tests: it speaks the hub's protocol, and breaks off, lies or refuses on demand.

Repositories are dictionaries of file name → bytes. Files of `LARGE_BYTES` and more are kept as the real hub keeps those
of git LFS: named by their sha256, and served by another host, to which the client is sent on.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 1000
CHUNK_BYTES = 1 << 14


@dataclass
class Repository:
    """Commits with their files, and which commit each branch stands at."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None
    claims_bytes: int | None = None


@dataclass
class Break:
    """One transfer that is to stop after so many bytes: the connection ends, or (`hang`) it falls silent."""

    after_bytes: int
    hang: bool = False


class FakeHub:
    """What the server holds, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.blobs_url = url.replace("127.0.0.1", "localhost")  # to a client, another host
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.changed: dict[bytes, bytes] = {}
        self.speaks_html = False
        self.breaks: list[Break] = []
        self.requests: list[tuple[str, str, str]] = []
        self.hanging = threading.Event()
        self.closing = threading.Event()

    def commit(self, name: str, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Add a commit and let a branch stand at it; returns its 40 digits."""
        digits = hashlib.sha1(repr((name, sorted(files.items()))).encode(), usedforsecurity=False).hexdigest()
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[digits] = dict(files)
        repository.branches[branch] = digits
        self.blobs.update({hashlib.sha256(content).hexdigest(): content for content in files.values()})
        return digits

    def commit_folder(self, name: str, folder: Path) -> str:
        """The same with all files of a folder."""
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return self.commit(name, files)

    def corrupt(self, content: bytes) -> None:
        """From now on such a file arrives with its last byte changed."""
        self.changed[content] = content[:-1] + bytes([content[-1] ^ 1])

    def transfers(self) -> list[str]:
        """What was asked of the contents of large files: the `Range` of each, in order."""
        return [ranged for method, path, ranged in self.requests if method == "GET" and path.startswith("/blobs/")]

    def asked_for_contents(self) -> bool:
        """Whether anything but lists was asked for."""
        return any(not path.startswith("/api/") for _, path, _ in self.requests)


def git_sha1(content: bytes) -> str:
    """The name that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_: object) -> None:
        """Nothing on the console."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self.hub.requests.append((self.command, url.path, self.headers.get("Range", "")))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if self.hub.speaks_html:
            self._send(200, b"<html>Hello</html>", {"Content-Type": "text/html"})
        elif parts[0] == "blobs":
            content = self.hub.blobs[parts[1]]
            self._send_blob(self.hub.changed.get(content, content))
        elif parts[:2] == ["api", "models"]:
            self._answer_of("/".join(parts[2:4]), *parts[4:])
        elif parts[2:3] == ["resolve"]:
            self._answer_of("/".join(parts[:2]), *parts[2:])
        else:
            self._refuse(404, "")

    def _answer_of(self, name: str, kind: str, revision: str, *path: str) -> None:
        repository = self.hub.repositories.get(name, Repository())
        commit = repository.branches.get(revision, revision)
        files = repository.commits.get(commit, {})
        file = "/".join(path)
        if not repository.commits:
            self._refuse(404, "RepoNotFound")
        elif not files:
            self._refuse(404, "RevisionNotFound")
        elif kind == "revision":
            self._send_json({"id": name, "sha": commit, "siblings": []})
        elif kind == "tree":
            self._send_json([self._listed(repository, path, content) for path, content in files.items()])
        elif repository.refuses is not None:
            self._refuse(*repository.refuses)
        elif file not in files:
            self._refuse(404, "EntryNotFound")
        else:
            self._send_file(commit, files[file])

    def _listed(self, repository: Repository, path: str, content: bytes) -> dict[str, object]:
        entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        if len(content) >= LARGE_BYTES:
            size = repository.claims_bytes or len(content)
            entry["size"] = size
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        return entry

    def _send_file(self, commit: str, content: bytes) -> None:
        if len(content) < LARGE_BYTES:
            headers = {"X-Repo-Commit": commit, "ETag": f'"{git_sha1(content)}"'}
            return self._send(200, self.hub.changed.get(content, content), headers)
        digest = hashlib.sha256(content).hexdigest()
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.hub.blobs_url}/blobs/{digest}",
        }
        return self._send(302, b"", headers)

    def _send_blob(self, content: bytes) -> None:
        status, headers, start = 200, {"Accept-Ranges": "bytes"}, 0
        if ranged := self.headers.get("Range"):
            start = int(ranged.removeprefix("bytes=").split("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        broken = self.hub.breaks.pop(0) if self.command == "GET" and self.hub.breaks else None
        if broken is None:
            return self._send(status, content[start:], headers)
        self._send(status, content[start:], headers, only=broken.after_bytes)
        if broken.hang:
            self.hub.hanging.set()
            self.hub.closing.wait(300)
        self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code} if code else {})

    def _send_json(self, body: object) -> None:
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], only: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:only])
            self.wfile.flush()


@contextmanager
def serving_hub() -> Iterator[FakeHub]:
    """Serve until the block ends."""
    handler = type("BoundHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub = FakeHub(f"http://127.0.0.1:{server.server_address[1]}")
    handler.hub = hub
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
