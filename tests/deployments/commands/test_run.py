"""Swaps, failures, clients that leave, killed processes and crowds, on the running graph."""

import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest

from tests.media import mp4, png
from tests.serving import RunningGraph


def replicas(graph: RunningGraph) -> dict[str, set[int]]:
    """Process ids of the replicas, by deployment."""
    found: dict[str, set[int]] = {}
    for pid in graph.pids():
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if match := re.search(r"ServeReplica:sensorium:(\w+)", title):
            found.setdefault(match[1], set()).add(pid)
    return found


@pytest.fixture
def as_before(graph: RunningGraph) -> Iterator[None]:
    """Whatever a test does to the YAML is undone."""
    text = graph.config.read_text()
    yield
    if graph.config.read_text() != text:
        graph.config.write_text(text)
        time.sleep(3)
        for name in ("SuperResolution", "SpeechSynthesis"):
            graph.wait_for(name, state="ready")


@pytest.mark.usefixtures("as_before")
def test_an_engine_is_swapped_in_place_and_no_request_is_lost(graph: RunningGraph) -> None:
    before = replicas(graph)
    outcomes: Counter[tuple[int, str]] = Counter()
    enough = Event()

    def talk() -> None:
        while not enough.is_set():
            answer = httpx.get(f"{graph.url}/v1/tts", params={"text": "one two three"}, timeout=60)
            outcomes[answer.status_code, answer.headers.get("content-type", "")] += 1

    def look() -> None:
        while not enough.is_set():
            answer = httpx.post(f"{graph.url}/image/imageToText", files={"file": png(64, 64)}, timeout=60)
            outcomes[answer.status_code, "image"] += 1

    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(talk), pool.submit(talk), pool.submit(look)]
        time.sleep(1)
        graph.edit("SpeechSynthesis", user_config={"engine": "espeak-ng", "language": "de"})
        ends_s = time.monotonic() + 30
        while "applied" not in graph.log() and time.monotonic() < ends_s:
            time.sleep(0.2)
        time.sleep(4)
        enough.set()
        for each in work:
            each.result()
    assert {status for status, _ in outcomes} == {200}, outcomes
    assert sum(outcomes.values()) > 10
    assert replicas(graph) == before, "a swap keeps every process"
    graph.wait_for("SpeechSynthesis", state="ready")
    default = httpx.get(f"{graph.url}/v1/tts", params={"text": "Guten Morgen"}, timeout=60).content
    german = httpx.get(f"{graph.url}/v1/tts", params={"text": "Guten Morgen", "language": "de"}, timeout=60).content
    english = httpx.get(f"{graph.url}/v1/tts", params={"text": "Guten Morgen", "language": "en"}, timeout=60).content
    assert default == german != english


def test_a_file_that_cannot_be_served_changes_nothing(graph: RunningGraph) -> None:
    before, text = replicas(graph), graph.config.read_text()
    graph.edit("SuperResolution", user_config={"engine": "telepathy"})
    ends_s = time.monotonic() + 20
    while "telepathy" not in graph.log() and time.monotonic() < ends_s:
        time.sleep(0.2)
    assert "The graph runs on as before" in graph.log()
    assert graph.state("SuperResolution")["state"] == "ready"
    assert replicas(graph) == before
    graph.config.write_text(text)


@pytest.mark.usefixtures("as_before")
def test_a_capability_that_cannot_load_fails_alone(graph: RunningGraph, client: httpx.Client) -> None:
    before = replicas(graph)
    graph.edit("SuperResolution", user_config={"engine": "real-esrgan", "model": "./nowhere.pth"})
    state = graph.wait_for("SuperResolution", state="failing")
    assert "nowhere.pth" in state["reason"]
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    answer = client.post("/image/enhanceImage", files={"file": png(40, 30)})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_unavailable"
    assert "nowhere.pth" in answer.json()["error"]["message"]
    assert client.post("/image/imageToText", files={"file": png(40, 30)}).status_code == 200
    assert replicas(graph) == before


def test_the_work_stops_when_the_client_leaves(graph: RunningGraph, client: httpx.Client) -> None:
    video = mp4(frames=900, fps=30, width=640, height=480, audio=False)
    started_s = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/video/mmeditingInference", files={"file": video}, timeout=httpx.Timeout(30, read=3))
    left_s = time.monotonic()
    answer = client.post("/video/mmeditingInference", files={"file": mp4(frames=3, fps=12)}, timeout=120)
    assert answer.status_code == 200
    waited_s = time.monotonic() - left_s
    assert waited_s < 5 + 2 * (left_s - started_s), "the engine was free at once"
    uploads = graph.data / "store" / "uploads"
    ends_s = time.monotonic() + 5
    while any(uploads.iterdir()) and time.monotonic() < ends_s:
        time.sleep(0.1)
    assert not list(uploads.iterdir()), "the upload of the one who left is gone"


def test_an_upload_that_breaks_off_leaves_nothing(graph: RunningGraph) -> None:
    address = urlsplit(graph.url)
    head = (
        "POST /image/imageToText HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 9000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode() + png() + bytes(6_000_000))
        time.sleep(1)
    ends_s = time.monotonic() + 10
    store = graph.data / "store"
    while (left := [p for p in (store / "uploads").rglob("*") if p.is_file()]) and time.monotonic() < ends_s:
        time.sleep(0.2)
    assert not left


def test_a_slow_client_holds_up_nobody(graph: RunningGraph, client: httpx.Client) -> None:
    address = urlsplit(graph.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as slow:
        slow.sendall(b"POST /image/imageToText HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n")
        slow.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b")
        answer = client.post("/image/imageToText", files={"file": png(64, 64)})
        assert answer.status_code == 200


def test_a_killed_replica_comes_back_and_takes_no_neighbor_along(graph: RunningGraph, client: httpx.Client) -> None:
    before = replicas(graph)
    for pid in before["SpeechSynthesis"]:
        os.kill(pid, signal.SIGKILL)
    ends_s = time.monotonic() + 60
    while True:
        answer = client.get("/v1/tts", params={"text": "hello"}, timeout=90)
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            break
        assert answer.json()["message"]
        assert answer.headers["retry-after"]
        assert time.monotonic() < ends_s
        time.sleep(0.5)
    after = replicas(graph)
    assert after.pop("SpeechSynthesis") != before.pop("SpeechSynthesis")
    assert after == before


def test_three_hundred_at_once_are_all_answered(graph: RunningGraph) -> None:
    image = png(48, 48)

    def call(_: int) -> tuple[int, bool]:
        answer = httpx.post(f"{graph.url}/image/imageToText", files={"file": image}, timeout=240)
        return answer.status_code, "retry-after" in answer.headers

    with ThreadPoolExecutor(300) as pool:
        outcomes = Counter(pool.map(call, range(300)))
    print(outcomes)
    assert sum(outcomes.values()) == 300
    assert set(outcomes) <= {(200, False), (503, True)}
    assert outcomes[200, False] >= 30
    assert outcomes[503, True] > 0
    answer = httpx.post(f"{graph.url}/image/imageToText", files={"file": image}, timeout=60)
    assert answer.status_code == 200, "and the graph serves on"


def test_a_second_launch_reports_that_the_port_is_taken(graph: RunningGraph) -> None:
    import subprocess
    import sys

    from tests.serving import ROOT

    done = subprocess.run(
        [sys.executable, "-m", "deployments.commands.run", str(graph.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "running already" in done.stderr
