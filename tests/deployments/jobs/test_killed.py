"""Fifty jobs, and everything that works at them is killed at random moments: each ends once, and ends well."""

import os
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.media import mp4, png
from tests.serving import ROOT, RunningGraph, running

pytestmark = pytest.mark.live
JOBS = 50
VICTIMS = ("SuperResolution", "FrameInterpolation", "ObjectTracking", "Jobs", "Ingress")
NEEDED = ("Ingress", "Jobs", "SuperResolution", "FrameInterpolation", "ObjectTracking")
FINAL = ("succeeded", "failed", "cancelled")


def replica(graph: RunningGraph, deployment: str) -> int | None:
    """Process id of a deployment's replica, None while it has none."""
    for pid in graph.pids():
        try:
            title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            continue
        if re.search(rf"ServeReplica:sensorium:{deployment}\b", title):
            return pid
    return None


def work(index: int) -> tuple[str, bytes]:
    """Three kinds of jobs, no two equal."""
    if index % 3 == 0:
        return "/image/enhanceImage", png(200 + index, 150)
    path = "/video/motInference" if index % 3 == 1 else "/video/mmeditingInference"
    return path, mp4(36 + index, fps=12, width=320, height=240)


def insist(call: Any) -> httpx.Response:
    """As a good client does: repeat while there is no answer, or one that asks to wait."""
    ends_s = time.monotonic() + 120
    while True:
        try:
            answer: httpx.Response = call()
        except httpx.TransportError:
            answer = httpx.Response(503)
        if answer.status_code not in (408, 500, 502, 503):
            return answer
        assert time.monotonic() < ends_s, answer.text
        time.sleep(0.5)


def submit(graph: RunningGraph, index: int) -> str:
    path, file = work(index)
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"job {index}"}
    answer = insist(lambda: httpx.post(graph.url + path, headers=headers, files={"file": file}, timeout=30))
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def all_jobs(graph: RunningGraph) -> dict[str, dict[str, Any]]:
    answer = insist(lambda: httpx.get(f"{graph.url}/v1/jobs", params={"limit": 100}, timeout=30))
    return {job["id"]: job for job in answer.json()["data"]}


def frozen(job: dict[str, Any]) -> tuple[Any, ...]:
    """What must not change once a job has ended; URLs are signed at each read, and the port changes after a restart."""
    result = {key: urlsplit(str(value)).path for key, value in (job["result"] or {}).items()}
    return job["state"], job["ended_at"], job["attempts"], tuple(result.items())


class Watch:
    """Looks at all jobs, and notes whoever comes back from its end."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[Any, ...]] = {}
        self.progress: dict[str, float] = {}

    def look(self, graph: RunningGraph) -> int:
        """See that what has ended stays as it is, and that progress never falls; gives how many have ended."""
        for job_id, job in all_jobs(graph).items():
            assert job["progress"] >= self.progress.get(job_id, 0), job
            self.progress[job_id] = job["progress"]
            if job_id in self.ends or job["state"] in FINAL:
                assert self.ends.setdefault(job_id, frozen(job)) == frozen(job), "it ended twice"
        return len(self.ends)


@pytest.mark.timeout(900)
def test_fifty_of_fifty_survive(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    for block in raw["applications"][0]["deployments"]:
        if block["name"] not in NEEDED:
            block["autoscaling_config"]["min_replicas"] = 0  # they are not asked for, and so do not start
    config = tmp_path / "needed.yaml"
    config.write_text(yaml.safe_dump(raw))
    dice, watch, killed = random.Random(50), Watch(), []

    with running(tmp_path, config) as graph, ThreadPoolExecutor(2) as pool:
        submissions = [pool.submit(submit, graph, index) for index in range(JOBS)]
        for victim in (*VICTIMS, *dice.sample(VICTIMS, 3)):
            time.sleep(dice.uniform(1, 4))
            if (pid := replica(graph, victim)) is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(victim)
            watch.look(graph)
        ids = [submission.result() for submission in submissions]
        before_the_crash = watch.look(graph)
        while pids := graph.pids():  # whoever is being started at this moment is found the next time
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            graph.process.wait(timeout=30)
    assert len(set(ids)) == JOBS

    with running(tmp_path, config) as graph:
        ends_s = time.monotonic() + 300
        while watch.look(graph) < JOBS:
            assert time.monotonic() < ends_s, [job for job in all_jobs(graph).values() if job["state"] not in FINAL]
            time.sleep(1)
        jobs = all_jobs(graph)
        print(f"killed {killed} and all of Ray; {before_the_crash} of {JOBS} had ended before that")
        print("attempts:", sorted(job["attempts"] for job in jobs.values()))
        assert set(jobs) == set(ids), "each submission is one job"
        assert {job["state"] for job in jobs.values()} == {"succeeded"}, [job["error"] for job in jobs.values()]
        assert max(job["attempts"] for job in jobs.values()) > 1, "some were hit"
        for job in jobs.values():
            address = job["result"].get("enhanceImageUrl") or f"{graph.url}/{job['result']['data']}"
            assert httpx.get(address, timeout=30).status_code == 200
        ends_s = time.monotonic() + 20
        while any((graph.data / "store" / "uploads").iterdir()) and time.monotonic() < ends_s:
            time.sleep(0.5)
        assert not list((graph.data / "store" / "uploads").iterdir()), "no upload is left behind"
