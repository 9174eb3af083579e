"""Two principals on the real graph, their keys made by the command while it runs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media import mp4, png
from tests.serving import ROOT, RunningGraph, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

IN_FORCE_S = 5


def keys(graph: RunningGraph, *arguments: str) -> str:
    """What the command prints."""
    environment = {**os.environ, "SENSORIUM_DATA_DIR": str(graph.data)}
    command = [sys.executable, "-m", "deployments.commands.keys", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def client(graph: RunningGraph, key: str) -> httpx.Client:
    return httpx.Client(base_url=graph.url, timeout=300, headers={"Authorization": f"Bearer {key}"})


def upload(http: httpx.Client, text: str, **query: str) -> httpx.Response:
    files = {"fileToUpload": ("plan.txt", text.encode())}
    return http.post("/uploadFile/uploadLearningFile", params={"category": "plans", **query}, files=files)


def ask(http: httpx.Client, **query: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "What is the vault code?"}]
    body = {"category": "plans", "messages": messages, "max_tokens": 16, **query}
    answer: dict[str, Any] = http.post("/v1/chat/completions", json=body).raise_for_status().json()
    return answer


@dataclass
class Tenants:
    graph: RunningGraph
    alice: httpx.Client
    bob: httpx.Client


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """A graph that runs before it has keys, and two principals with theirs."""
    with running(tmp_path_factory.mktemp("tenants")) as graph:
        assert httpx.get(f"{graph.url}/v1/jobs").status_code == 200
        made = client(graph, keys(graph, "add", "alice")), client(graph, keys(graph, "add", "bob"))
        time.sleep(IN_FORCE_S)
        assert httpx.get(f"{graph.url}/v1/jobs").status_code == 401
        with made[0] as alice, made[1] as bob:
            yield Tenants(graph, alice, bob)


def test_documents_are_their_owners(tenants: Tenants) -> None:
    assert upload(tenants.alice, "The vault code is 4711.").json() == {"result": True}
    assert upload(tenants.bob, "The harbor opens at nine.").json() == {"result": True}
    assert "4711" in ask(tenants.alice)["sources"][0]["passage"]
    theirs = ask(tenants.bob)
    assert "4711" not in str(theirs)
    listed = {
        http: http.get("/uploadFile/learningFiles", params={"category": "plans"}).json()["data"]
        for http in (tenants.alice, tenants.bob)
    }
    assert [len(data) for data in listed.values()] == [1, 1]
    hers = {"category": "plans", "id": listed[tenants.alice][0]["id"]}
    assert tenants.bob.delete("/uploadFile/learningFile", params=hers).status_code == 404
    assert "4711" in ask(tenants.alice)["sources"][0]["passage"]


def test_jobs_and_results_are_their_owners(tenants: Tenants, tmp_path: Path) -> None:
    async_once = {"Prefer": "respond-async", "Idempotency-Key": "once"}
    submitted = {
        http: http.post("/image/generateVideo", params={"frames": 2}, headers=async_once, files={"file": png(64, 64)})
        for http in (tenants.alice, tenants.bob)
    }
    hers, his = (answer.json()["id"] for answer in submitted.values())
    assert hers != his
    assert tenants.bob.get(f"/v1/jobs/{hers}").status_code == 404
    assert tenants.bob.delete(f"/v1/jobs/{hers}").status_code == 404
    ends_s = time.monotonic() + 120
    while (job := tenants.alice.get(f"/v1/jobs/{hers}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < ends_s
        time.sleep(0.3)
    assert job["state"] == "succeeded"
    tracked = tenants.alice.post("/video/motInference", files={"file": mp4()}).raise_for_status().json()
    for path in (job["result"]["svdVideoUrl"], tracked["data"], tracked["tracks"]):
        assert tenants.alice.get(f"/{path}").status_code == 200, path
        assert tenants.bob.get(f"/{path}").status_code == 404, path
    assert [each["id"] for each in tenants.bob.get("/v1/jobs").json()["data"]] == [his]


def test_a_revoked_key_opens_nothing(tenants: Tenants) -> None:
    with client(tenants.graph, keys(tenants.graph, "add", "carol", "--scopes", "chat")) as carol:
        time.sleep(IN_FORCE_S)
        assert carol.get("/v1/jobs").status_code == 200
        refused = carol.get("/v1/tts", params={"text": "Hi."})
        assert (refused.status_code, refused.json()["status"]) == (403, 40000000)
        keys(tenants.graph, "revoke", "carol")
        time.sleep(IN_FORCE_S)
        assert carol.get("/v1/jobs").status_code == 401
    assert "carol" in keys(tenants.graph, "list")


def test_one_at_its_limits_leaves_the_other_untouched(tenants: Tenants) -> None:
    with client(tenants.graph, keys(tenants.graph, "add", "dave", "--requests-per-minute", "5")) as dave:
        time.sleep(IN_FORCE_S)
        answers = [dave.get("/v1/jobs") for _ in range(8)]
        slowest_s = max(tenants.bob.get("/v1/jobs").elapsed.total_seconds() for _ in range(8))
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "0"
    assert slowest_s <= (6 if os.environ.get("CI") == "true" else 2)


def test_usage_of_calls_and_jobs(tenants: Tenants) -> None:
    [used] = tenants.alice.get("/v1/usage").json()["data"]
    assert (used["principal"], used["date"][:2]) == ("alice", "20")
    assert used["calls"] > 5
    assert used["tokens"] > 10
    assert used["frames"] > 2, "of the job and of the call that waited"
    assert used["bytes"] > len(mp4())


def test_a_shared_category_is_read_by_name_of_its_owner(tenants: Tenants) -> None:
    assert upload(tenants.alice, "The vault code is 4711.").json() == {"result": True}
    address = "/v1/categories/plans/shares/bob"
    assert tenants.alice.put(address, json={"access": "read"}).status_code == 200
    time.sleep(IN_FORCE_S)
    assert "4711" in ask(tenants.bob, owner="alice")["sources"][0]["passage"]
    assert upload(tenants.bob, "Mine.", owner="alice").status_code == 403
    assert tenants.alice.delete(address).status_code == 200
    time.sleep(IN_FORCE_S)
    hers = {"category": "plans", "owner": "alice"}
    assert tenants.bob.get("/uploadFile/learningFiles", params=hers).status_code == 404


def test_a_browser_signs_in_and_out(tenants: Tenants) -> None:
    own = {"Sec-Fetch-Site": "same-origin"}
    key = tenants.alice.headers["Authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=tenants.graph.url, timeout=60, headers=own) as browser:
        assert browser.get("/docs").status_code == 401
        assert browser.post("/v1/session", json={"key": key}).json()["principal"] == "alice"
        assert browser.get("/docs").status_code == 200
        assert browser.post("/v1/embeddings", json={"input": "x"}).status_code == 200
        elsewhere = browser.post("/v1/embeddings", json={"input": "x"}, headers={"Sec-Fetch-Site": "same-site"})
        assert elsewhere.status_code == 403
        assert browser.delete("/v1/session").status_code == 200
        assert browser.get("/docs").status_code == 401
