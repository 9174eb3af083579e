"""Principals: what belongs to one is not there for another, on any route."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.principals.principal import CAPABILITIES, EVERY_SCOPE
from tests.asgi import KEYED, client
from tests.media import png
from tests.tenants import Tenants, upload

SECRET = "The vault code is 4711."
VIDEO = "static/video/d01476eb-80de-4a7d-a5bb-566644c96a81.mp4"
ADMINISTERED = {
    f"{method} /v1/principals{path}": "admin"
    for method, path in (("get", ""), ("post", ""), ("delete", "/{name}"), ("post", "/{name}/key"))
}
JSON_BODIES: dict[str, Any] = {
    "/v1/chat/completions": {
        "category": "plans",
        "messages": [{"role": "user", "content": "Which is the vault code?"}],
    },
    "/v1/embeddings": {"input": "x"},
    "/v1/images/generations": {"prompt": "a vault"},
}


async def a_result(tenants: Tenants, http: httpx.AsyncClient) -> str:
    """A job of this client that has ended in a video; its id."""
    asked = {"headers": {"Prefer": "respond-async", "Idempotency-Key": "once"}, "files": {"file": png(8, 8)}}
    job_id = (await http.post("/image/generateVideo", **asked)).json()["id"]
    jobs = tenants.services.jobs
    job = await asyncio.to_thread(jobs.claim, ["animate"], 30)
    assert job is not None
    await tenants.services.store.put_bytes(VIDEO, b"video", "video/mp4")
    await asyncio.to_thread(tenants.services.principals.keep_results, job.principal, [VIDEO])
    assert await asyncio.to_thread(jobs.succeed, job, f'{{"video": "{VIDEO}"}}')
    return str(job_id)


async def everything(tenants: Tenants, http: httpx.AsyncClient, known: dict[str, str]) -> dict[str, httpx.Response]:
    """An answer of each documented operation, asked by what is known of another's."""
    answers = {}
    for template, methods in tenants.application.openapi()["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], template)
        for method, operation in methods.items():
            named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
            asked: dict[str, Any] = {"params": {name: known[name] for name in named if name in known}}
            content = operation.get("requestBody", {}).get("content", {})
            if "multipart/form-data" in content:
                field = next(iter(content["multipart/form-data"]["schema"]["properties"]))
                asked["files"] = {field: ("new.txt", b"mine") if field == "fileToUpload" else png(8, 8)}
                asked["headers"] = {"Prefer": "respond-async", "Idempotency-Key": "once"}
            elif content:
                asked["json"] = JSON_BODIES.get(template, {})
            answers[f"{method} {template}"] = await http.request(method, path, **asked)
    return answers


async def test_nobody_learns_what_another_has(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice") as alice, tenants.add("bob") as bob:
        assert (await upload(alice, "plans", SECRET)).json() == {"result": True}
        job_id = await a_result(tenants, alice)
        listed = (await alice.get("/uploadFile/learningFiles", params={"category": "plans"})).json()["data"]
        common = {"bucket": "sam", "name": "a.png", "model_id": "none", "text": "Hi.", "principal": "alice"}
        hers = {"job_id": job_id, "after": job_id, "category": "plans", "id": listed[0]["id"], "owner": "alice"}
        none = {"job_id": "job_none", "after": "job_none", "category": "none", "id": "none", "owner": "nobody"}
        theirs = await everything(tenants, bob, {**common, **hers, "path": VIDEO.removeprefix("static/")})
        absent = await everything(tenants, bob, {**common, **none, "path": "video/none.mp4"})
        assert len(theirs) > 20
        for operation, answer in theirs.items():
            assert answer.status_code == absent[operation].status_code, operation
            for secret in (SECRET, listed[0]["id"], job_id, "plan.txt"):
                assert secret not in answer.text + str(answer.headers), operation
        for operation in ("get /v1/jobs/{job_id}", "delete /v1/jobs/{job_id}", "get /v1/jobs/{job_id}/events",
                          "get /static/{path}", "head /static/{path}", "delete /uploadFile/learningFile"):  # fmt: skip
            assert theirs[operation].status_code == 404, operation
            assert theirs[operation].text == absent[operation].text
        for operation in ("post /uploadFile/uploadLearningFile", "get /uploadFile/learningFiles"):
            assert theirs[operation].status_code == 404, "the parameter `owner` named her"
        for category in ("plans", "none"):
            asked = {**JSON_BODIES["/v1/chat/completions"], "category": category}
            assert (await bob.post("/v1/chat/completions", json={**asked, "owner": "alice"})).status_code == 404
        assert theirs["post /v1/chat/completions"].json()["sources"] == []
        # nothing of it has changed, and all of it is there for its owner
        assert (await alice.get("/uploadFile/learningFiles", params={"category": "plans"})).json()["data"] == listed
        assert (await alice.get(f"/v1/jobs/{job_id}")).json()["state"] == "succeeded"
        assert [job["id"] for job in (await alice.get("/v1/jobs")).json()["data"]] == [job_id]
        assert (await alice.get(f"/{VIDEO}")).content == b"video"
        answer = await alice.post("/v1/chat/completions", json=JSON_BODIES["/v1/chat/completions"])
        assert answer.json()["sources"][0]["passage"] == SECRET


async def test_what_there_was_before_principals_is_the_default_ones(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, **KEYED)
    async with tenants.client("first") as default, tenants.client("second") as too, tenants.add("bob") as bob:
        await upload(default, "plans", SECRET)
        job_id = await a_result(tenants, default)
        assert len((await too.get("/uploadFile/learningFiles", params={"category": "plans"})).json()["data"]) == 1
        assert (await too.get(f"/v1/jobs/{job_id}")).status_code == 200
        assert (await too.get(f"/{VIDEO}")).status_code == 200
        assert (await bob.get("/uploadFile/learningFiles", params={"category": "plans"})).json()["data"] == []
        assert (await bob.get(f"/{VIDEO}")).status_code == 404


async def test_the_first_key_ends_access_without_one(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    anonymous = client(tenants.application)
    async with anonymous:
        assert (await anonymous.get("/v1/jobs")).status_code == 200
        async with tenants.add("alice") as alice:
            assert (await anonymous.get("/v1/jobs")).status_code == 401
            assert (await alice.get("/v1/jobs")).status_code == 200
            tenants.services.principals.revoke("alice")
            tenants.services.registry.read()
            assert (await alice.get("/v1/jobs")).status_code == 401
            assert (await anonymous.get("/v1/jobs")).status_code == 401, "revoking the last key opens nothing"


async def test_a_change_of_keys_is_in_force_within_five_seconds(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice") as alice:
        assert (await alice.get("/v1/jobs")).status_code == 200
        _, key = tenants.services.principals.rotate("alice")
        await asyncio.sleep(4)
        assert (await alice.get("/v1/jobs")).status_code == 401
        async with tenants.client(key) as again:
            assert (await again.get("/v1/jobs")).status_code == 200


@pytest.mark.parametrize("scope", sorted(CAPABILITIES))
async def test_a_scope_opens_its_own_capability_alone(scope: str, tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    known = {"bucket": "sam", "name": "a.png", "path": "video/none.mp4", "model_id": "none", "job_id": "job_none",
             "category": "a", "id": "none", "text": "Hi.", "principal": "x"}  # fmt: skip
    async with tenants.add("all", EVERY_SCOPE) as everyone, tenants.add("one", frozenset({scope})) as one:
        allowed = await everything(tenants, everyone, known)
        scoped = await everything(tenants, one, known)
    refused = {operation for operation, answer in scoped.items() if answer.status_code == 403} - {
        operation for operation, answer in allowed.items() if answer.status_code == 403
    }
    assert refused, "each route of a capability needs its scope"
    assert refused == {operation for operation, needed in {**NEEDED, **ADMINISTERED}.items() if needed != scope}
    for operation in refused:
        assert "insufficient_scope" in scoped[operation].text or "lacks the scope" in scoped[operation].text, operation


NEEDED = {
    "post /v1/chat/completions": "chat",
    "post /v1/embeddings": "knowledge",
    "post /v1/rerank": "knowledge",
    "post /v1/audio/transcriptions": "speech_recognition",
    "post /v1/audio/speech": "speech_synthesis",
    "post /v1/images/generations": "image_generation",
    "post /v1/images/edits": "image_generation",
    "post /v1/asr": "speech_recognition",
    "get /v1/tts": "speech_synthesis",
    "post /image/imageToText": "image_understanding",
    "post /image/enhanceImage": "super_resolution",
    "post /image/generateVideo": "video_generation",
    "post /video/motInference": "object_tracking",
    "post /video/mmeditingInference": "frame_interpolation",
    "post /uploadFile/uploadLearningFile": "knowledge",
    "get /uploadFile/learningFiles": "knowledge",
    "delete /uploadFile/learningFile": "knowledge",
    "put /v1/categories/{name}/shares/{principal}": "knowledge",
    "delete /v1/categories/{name}/shares/{principal}": "knowledge",
}


async def test_an_expired_key_opens_nothing(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("late", expires_at=1.0) as late, tenants.add("alice", expires_at=4e9) as alice:
        assert (await late.get("/v1/jobs")).status_code == 401
        assert (await alice.get("/v1/jobs")).status_code == 200


async def test_calls_ask_the_database_for_nobody_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = Tenants(tmp_path)
    read = []
    snapshot = tenants.services.principals.snapshot
    monkeypatch.setattr(tenants.services.principals, "snapshot", lambda: read.append(1) or snapshot())
    async with tenants.add("alice") as alice, client(tenants.application) as anonymous:
        read.clear()
        for _ in range(20):
            assert (await alice.get("/v1/models")).status_code == 200
            assert (await anonymous.get("/v1/models")).status_code == 401
            assert (await anonymous.get("/healthz")).status_code == 200
        assert len(read) <= 1
        tenants.services.registry._read_s -= 10
        assert (await anonymous.get("/healthz")).status_code == 200
        assert len(read) <= 1, "a probe never asks"
        await alice.get("/v1/models")
        assert len(read) >= 1
