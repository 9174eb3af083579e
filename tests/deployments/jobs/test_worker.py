"""Long work as jobs, on the running graph: submitted, watched, cancelled, repeated."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fonts import LATIN
from tests.media import mp4, png
from tests.scans import ENGLISH_TEXT, saved, scan
from tests.serving import RunningGraph

ASYNC = {"Prefer": "respond-async"}
FINAL = ("succeeded", "failed", "cancelled")


def submit(client: httpx.Client, path: str, headers: dict[str, str] | None = None, **sent: Any) -> dict[str, Any]:
    answer = client.post(path, headers={**ASYNC, **(headers or {})}, **sent)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    assert (job["object"], job["route"]) == ("job", path.split("?", maxsplit=1)[0])
    return job


def ended(client: httpx.Client, job: dict[str, Any], within_s: float = 120) -> dict[str, Any]:
    ends_s = time.monotonic() + within_s
    while (record := client.get(f"/v1/jobs/{job['id']}").json())["state"] not in FINAL:
        assert time.monotonic() < ends_s, record
        time.sleep(0.2)
    found: dict[str, Any] = record
    return found


def events(client: httpx.Client, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/images/generations", {"json": {"prompt": "a pig", "size": "128x128", "seed": 1}}),
    ("/image/imageToText", {"files": {"file": saved([scan(ENGLISH_TEXT, LATIN)], "PNG")}}),
    ("/image/enhanceImage", {"files": {"file": png(40, 30)}}),
    ("/image/generateVideo?frames=4&fps=4", {"files": {"file": png(160, 120)}}),
    ("/video/motInference", {"files": {"file": mp4(12)}}),
    ("/video/mmeditingInference?fps=18", {"files": {"file": mp4(6)}}),
]


@pytest.mark.parametrize(("path", "sent"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_job_gives_what_the_call_gives(client: httpx.Client, path: str, sent: dict[str, Any]) -> None:
    at_once = client.post(path, **sent)
    assert at_once.status_code == 200, at_once.text
    job = submit(client, path, **sent)
    assert job["state"] in ("queued", "running", "succeeded")
    record = ended(client, job)
    assert record["state"] == "succeeded", record
    assert (record["progress"], record["error"], record["attempts"]) == (1, None, 1)
    assert record["created_at"] <= record["started_at"] <= record["ended_at"] < record["expires_at"]
    assert record["engine"] == at_once.headers["x-sensorium-engine"]
    assert set(record["result"]) == set(at_once.json())
    assert record["result"].get("text") == at_once.json().get("text")
    for address in addresses(record["result"]):
        answer = client.get(address)
        assert answer.status_code == 200
        assert len(answer.content) > 50


def addresses(result: dict[str, Any]) -> list[str]:
    values = [
        *result.values(),
        *(image.get("url") for image in result.get("data", []) if isinstance(image, dict)),
    ]
    texts = [value for value in values if isinstance(value, str)]
    return [text for text in texts if text.startswith(("http", "static/"))]


def test_inline_images_and_freshly_signed_urls(client: httpx.Client) -> None:
    body = {"prompt": "a cat", "size": "128x128", "seed": 7}
    same = client.post("/v1/images/generations", json={**body, "response_format": "b64_json"}).json()["data"]
    inline = submit(client, "/v1/images/generations", json={**body, "response_format": "b64_json"})
    record = ended(client, inline)
    assert record["result"]["data"] == same
    assert ended(client, inline) == record, "and may be read again"
    listed = client.get("/v1/jobs", params={"limit": 1}).json()["data"][0]
    assert (listed["id"], listed["state"], listed["result"]) == (inline["id"], "succeeded", None)
    job = submit(client, "/v1/images/generations", json=body)
    first = ended(client, job)["result"]["data"][0]["url"]
    time.sleep(1.1)
    second = ended(client, job)["result"]["data"][0]["url"]
    assert first != second
    assert client.get(first).content == client.get(second).content


def test_progress_is_reported_and_never_falls(client: httpx.Client) -> None:
    job = submit(client, "/video/mmeditingInference", files={"file": mp4(60, width=640, height=480)})
    records = list(events(client, job))
    assert records[-1]["state"] == "succeeded"
    assert [record["state"] for record in records].count("succeeded") == 1
    progress = [record["progress"] for record in records]
    assert progress == sorted(progress)
    assert len(set(progress)) >= 4, progress
    assert any(record["stage"] for record in records if record["state"] == "running")
    assert list(events(client, job)) == [records[-1]], "of an ended job, its end"


def test_cancelled_within_a_step(graph: RunningGraph, client: httpx.Client) -> None:
    video = mp4(900, fps=30, width=640, height=480, audio=False)
    job = submit(client, "/video/mmeditingInference", files={"file": video})
    watched = events(client, job)
    assert next(record for record in watched if record["state"] == "running" and record["progress"] > 0)
    asked_s = time.monotonic()
    answer = client.delete(f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert [record["state"] for record in watched][-1] == "cancelled"
    short = client.post("/video/mmeditingInference", files={"file": mp4(3)})
    assert short.status_code == 200
    assert time.monotonic() - asked_s < 15, "the engine is free again"
    again = client.delete(f"/v1/jobs/{job['id']}").json()
    assert (again["state"], again["result"], again["ended_at"]) == ("cancelled", None, answer.json()["ended_at"])
    ends_s = time.monotonic() + 15
    while any((graph.data / "store" / "uploads").iterdir()) and time.monotonic() < ends_s:
        time.sleep(0.2)
    assert not list((graph.data / "store" / "uploads").iterdir()), "its upload is gone"


def test_a_repeated_submission_is_the_same_job(client: httpx.Client) -> None:
    key = {"Idempotency-Key": f"test-{time.time()}"}
    first = submit(client, "/image/enhanceImage", key, files={"file": png(30, 20)})
    again = submit(client, "/image/enhanceImage", key, files={"file": png(30, 20)})
    assert again["id"] == first["id"]
    other = client.post("/image/enhanceImage", headers={**ASYNC, **key}, files={"file": png(30, 21)})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_parameter")
    assert ended(client, first)["state"] == "succeeded"
    assert submit(client, "/image/enhanceImage", key, files={"file": png(30, 20)})["state"] == "succeeded"


def test_another_prompt_is_not_a_repeated_submission(client: httpx.Client) -> None:
    key = {"Idempotency-Key": f"test-{time.time()}"}
    files = {"file": png(30, 20)}
    first = submit(client, "/image/generateVideo", key, files=files, data={"prompt": "it rains"})
    assert submit(client, "/image/generateVideo", key, files=files, data={"prompt": "it rains"})["id"] == first["id"]
    other = client.post("/image/generateVideo", headers={**ASYNC, **key}, files=files, data={"prompt": "it snows"})
    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_parameter")
    record = ended(client, first)
    assert (record["state"], record["error"]["code"]) == ("failed", "unsupported_by_engine")


def test_invalid_requests_are_refused_at_once_and_damaged_media_by_the_job(client: httpx.Client) -> None:
    list_recent = client.get("/v1/jobs", params={"limit": 1}).json()["data"]
    answer = client.post("/video/motInference", headers=ASYNC, files={"file": b"no video"})
    assert answer.status_code == 415
    answer = client.post("/v1/images/generations", headers=ASYNC, json={"prompt": " "})
    assert answer.status_code == 400
    assert client.get("/v1/jobs", params={"limit": 1}).json()["data"] == list_recent
    record = ended(client, submit(client, "/video/motInference", files={"file": mp4(12)[:3000]}))
    assert (record["state"], record["result"]) == ("failed", None)
    assert record["error"]["code"] == "unusable_media"
    assert record["attempts"] == 1, "what cannot be used is not tried again"


def test_pages_and_unknown_jobs(client: httpx.Client) -> None:
    ids = [submit(client, "/image/enhanceImage", files={"file": png(8, 8 + index)})["id"] for index in range(3)]
    page = client.get("/v1/jobs", params={"limit": 2}).json()
    assert (page["object"], page["has_more"]) == ("list", True)
    assert [job["id"] for job in page["data"]] == [ids[2], ids[1]]
    after = client.get("/v1/jobs", params={"limit": 1, "after": ids[1]}).json()
    assert [job["id"] for job in after["data"]] == [ids[0]]
    for answer in (
        client.get("/v1/jobs/none"),
        client.delete("/v1/jobs/none"),
        client.get("/v1/jobs/none/events"),
        client.get("/v1/jobs", params={"after": "none"}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    for answer in (
        client.get("/v1/jobs", params={"limit": 0}),
        client.get("/v1/jobs", params={"after": "a\0b"}),
        client.get("/v1/jobs/%00"),
        client.get("/v1/jobs/" + "x" * 65),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


def test_unknown_fields_are_accepted(client: httpx.Client) -> None:
    body = b'{"prompt": "a pig", "size": "64x64", "user": "\\ud800"}'
    headers = {"Content-Type": "application/json"}
    assert client.post("/v1/images/generations", content=body, headers=headers).status_code == 200
    body = body.replace(b"a pig", b"\\ud800")
    for prefer in ({}, ASYNC):
        answer = client.post("/v1/images/generations", content=body, headers={**headers, **prefer})
        assert answer.status_code == 400, answer.text
