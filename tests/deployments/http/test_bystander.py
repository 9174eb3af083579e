"""No input costs more than it should: what would take minutes or gigabytes is refused, or others do not feel it."""

import io
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from select import select
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest

from tests.bystander import PATIENCE_S, bystander
from tests.serving import RunningGraph

pytestmark = pytest.mark.timeout(900)
VIDEO_ROUTES = ("/video/motInference", "/video/mmeditingInference")


def black_film(width: int, height: int, stamps_s: list[float], form: str = "matroska") -> bytes:
    """Black frames of H.264, each at its time."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for stamp_s in stamps_s:
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8))
            frame.time_base, frame.pts = Fraction(1, 1000), round(stamp_s * 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return file.getvalue()


def steady(seconds: float, fps: float) -> list[float]:
    return [index / fps for index in range(round(seconds * fps))]


def test_costly_films_are_refused_at_once(graph: RunningGraph, client: httpx.Client) -> None:
    films = (
        ("too_many_pixels", black_film(8192, 6000, steady(0.2, 25))),
        ("too_long", black_film(320, 240, [0, 3000, 6000])),
        ("too_long", black_film(320, 240, [0, 0.04, 0.08, 11.2])),
        ("too_long", black_film(64, 64, steady(31 * 60, 1))),
    )
    with bystander(graph.url):
        for code, film in films:
            for route in VIDEO_ROUTES:
                began_s = time.monotonic()
                answer = client.post(route, files={"file": ("film", film)})
                assert answer.status_code == 422, answer.text
                assert answer.json()["error"]["code"] == code, answer.text
                assert time.monotonic() - began_s < PATIENCE_S, answer.text


def replica(graph: RunningGraph, deployment: str) -> Path:
    """The folder in `/proc` of a deployment's replica."""
    for pid in graph.pids():
        title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        if re.search(rf"ServeReplica:sensorium:{deployment}\b", title):
            return Path(f"/proc/{pid}")
    raise AssertionError(f"{deployment} has no replica")


def peak_mb(process: Path) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    assert found
    return int(found[1]) / 1000


def cpu_s(process: Path) -> float:
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_the_largest_frames_take_less_than_2_gb(graph: RunningGraph, client: httpx.Client) -> None:
    film = black_film(4096, 2160, steady(2.4, 25))
    tracking = replica(graph, "ObjectTracking")
    (tracking / "clear_refs").write_text("5")  # forgets the peak so far
    with bystander(graph.url):
        answer = client.post("/video/motInference", files={"file": ("film", film)})
    assert answer.status_code == 200, answer.text
    peak = peak_mb(tracking)
    print(f"peak of ObjectTracking: {peak:.0f} MB")
    assert peak < 2000


def ask_embedding(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/embeddings", json={"input": "hello"})


def ask_documents(client: httpx.Client) -> httpx.Response:
    return client.get("/uploadFile/learningFiles", params={"category": "nothing is here"})


def ask_chat(client: httpx.Client) -> httpx.Response:
    """Looks for passages, of which there are none, and makes one token."""
    question = {
        "messages": [{"role": "user", "content": "What is the code?"}],
        "category": "nothing is here",
        "max_tokens": 1,
    }
    return client.post("/v1/chat/completions", json=question)


KNOWLEDGE = (ask_embedding, ask_documents, ask_chat)


@contextmanager
def leaves_in_the_middle(client: httpx.Client, route: str, **call: Any) -> Iterator[None]:
    """Another client, which makes a long call and closes its connection at the end of the block."""
    request = client.build_request("POST", route, **call)
    body = request.read()
    connection = HTTPConnection(request.url.host, request.url.port)
    connection.request("POST", request.url.raw_path.decode(), body, dict(request.headers))
    try:
        yield
    finally:
        is_answered, _, _ = select([connection.sock], [], [], 0)
        connection.close()
    assert not is_answered, "this was not long enough to test anything"


def test_a_long_list_of_texts_holds_up_nobody_and_ends_with_its_client(
    graph: RunningGraph, client: httpx.Client
) -> None:
    texts = [f"{number} " + "sentences about knowledge " * 36 for number in range(2048)]
    with bystander(graph.url, *KNOWLEDGE), leaves_in_the_middle(client, "/v1/embeddings", json={"input": texts}):
        time.sleep(6)
    time.sleep(PATIENCE_S)
    process = replica(graph, "Knowledge")
    before_s = cpu_s(process)
    time.sleep(1)
    assert cpu_s(process) - before_s < 0.3, "it goes on for nobody"
    began_s = time.monotonic()
    longest = client.post("/v1/embeddings", json={"input": "word " * 400_000})
    assert longest.json()["usage"]["prompt_tokens"] == 256, "what the model reads"
    assert time.monotonic() - began_s < PATIENCE_S
    refused = client.post("/v1/embeddings", json={"input": ["a" * 1000] * 2001})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "input"


def test_a_small_document_beside_large_ones(graph: RunningGraph, client: httpx.Client) -> None:
    route = "/uploadFile/uploadLearningFile"

    def document(name: str, text: str) -> dict[str, Any]:
        return {"params": {"category": "large and small"}, "files": {"fileToUpload": (name, text.encode())}}

    large = "\n".join(f"{number}: a sentence about nothing at all." for number in range(480_000))
    assert len(large) > 19_000_000
    with (
        bystander(graph.url, *KNOWLEDGE),
        leaves_in_the_middle(client, route, **document("large.txt", large)),
        leaves_in_the_middle(client, route, **document("other.txt", f"Another one.\n{large[:5_000_000]}")),
    ):
        time.sleep(2)
        for delay_s in (0, 8):  # while it is read, and while it is embedded
            time.sleep(delay_s)
            began_s = time.monotonic()
            answer = client.post(route, **document(f"{delay_s}.txt", f"The code is {delay_s}."))
            took_s = time.monotonic() - began_s
            print(f"a small document took {took_s:.1f} s")
            assert answer.json() == {"result": True}
            assert took_s < 5 * PATIENCE_S
    listed = client.get("/uploadFile/learningFiles", params={"category": "large and small"}).json()["data"]
    assert [each["name"] for each in listed] == ["0.txt", "8.txt"]


def half_a_body(graph: RunningGraph, path: str, kind: str) -> socket.socket:
    """A connection whose request has announced more than it sends."""
    address = urlsplit(graph.url)
    connection = socket.create_connection((address.hostname, address.port))
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {kind}\r\nContent-Length: 5000\r\n\r\n"
    connection.sendall(head.encode() + (b"--x\r\n" if "multipart" in kind else b"{"))
    return connection


def answered(connection: socket.socket, within_s: float) -> tuple[int, dict[str, Any]]:
    connection.settimeout(within_s)
    with connection, HTTPResponse(connection) as response:
        response.begin()
        return response.status, json.loads(response.read())


def test_bodies_that_do_not_come(graph: RunningGraph) -> None:
    with bystander(graph.url, ask_embedding):
        begun_s = time.monotonic()
        stalled = [half_a_body(graph, "/v1/chat/completions", "application/json") for _ in range(300)]
        uploads = [half_a_body(graph, "/image/imageToText", "multipart/form-data; boundary=x") for _ in range(20)]
        open_path = half_a_body(graph, "/healthz", "application/json")
        assert answered(open_path, PATIENCE_S)[0] == 405, "who takes no body does not wait for one"
        for connection in stalled:
            status, body = answered(connection, 15 * PATIENCE_S)
            assert status == 408
            assert body["error"]["code"] == "body_timeout"
        assert 9 < time.monotonic() - begun_s < 15 * PATIENCE_S
        for connection in uploads:
            status, body = answered(connection, 30 * PATIENCE_S)
            assert status == 408
            assert body["status"] == "error"
            assert body["error"]["code"] == "body_timeout"
        assert time.monotonic() - begun_s > 29
    assert not [path for path in (graph.data / "store" / "uploads").rglob("*") if path.is_file()]


def test_clients_that_wait_for_a_job_hold_up_nobody(graph: RunningGraph, client: httpx.Client) -> None:
    film = black_film(640, 480, steady(200, 25))
    job = client.post("/video/motInference", files={"file": ("film", film)}, headers={"Prefer": "respond-async"})
    address, path = urlsplit(graph.url), f"{job.headers['location']}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    streams = []
    try:
        with bystander(graph.url):
            for _ in range(300):
                stream = socket.create_connection((address.hostname, address.port))
                streams.append(stream)
                stream.sendall(request)
            for stream in streams:
                stream.settimeout(5 * PATIENCE_S)
                assert stream.recv(12) == b"HTTP/1.1 200"
            time.sleep(2)
            assert client.get(job.headers["location"]).json()["state"] in ("queued", "running"), "it ended too early"
    finally:
        for stream in streams:
            stream.close()
        client.delete(job.headers["location"])
