"""Both video routes by OpenMMLab's engines in the running graph, and the errors without their environment."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from deployments import config
from pipelines.media.video import VideoReader, VideoWriter
from tests.media import mp4
from tests.openmmlab import PYTHON, built, run_inside
from tests.serving import ROOT, RunningGraph

ELSEWHERE = {"num_cpus": 0, "runtime_env": {"py_executable": "openmmlab/python"}}


def frames_of(clip: bytes) -> np.ndarray:
    with VideoReader(io.BytesIO(clip), "mov", max_pixels=10_000_000) as video:
        return np.stack(list(video.frames()))


def patiently(client: httpx.Client, path: str, clip: Path) -> httpx.Response:
    """Send the clip, again after `Retry-After`: the last of a block's former processes may still be on its way out."""
    for _ in range(12):
        answer = client.post(path, files={"file": clip.read_bytes()})
        if answer.status_code != 503:
            break
        print(answer.text)
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def as_before(graph: RunningGraph) -> Iterator[None]:
    """Whatever a test does to the two blocks is undone."""
    blocks = {name: graph.block(name) for name in ("ObjectTracking", "FrameInterpolation")}
    yield
    for name, block in blocks.items():
        graph.edit(name, **block)
    for name, block in blocks.items():
        graph.wait_for(name, engine=block["user_config"]["engine"], state="ready", within_s=180)


@built
@pytest.mark.usefixtures("as_before")
def test_both_routes_answer_as_openmmlabs_own_api(graph: RunningGraph, client: httpx.Client, sample, tmp_path) -> None:
    clip = sample("pedestrians.mp4")
    run_inside("-m", "tests.openmmlab", str(tmp_path), str(clip))
    for deployment, engine, name in (
        ("ObjectTracking", "mmtracking", "bytetrack"),
        ("FrameInterpolation", "mmediting", "cain"),
    ):
        keys = {"engine": engine, "config": str(tmp_path / f"{name}.py"), "checkpoint": str(tmp_path / f"{name}.pth")}
        graph.edit(deployment, ray_actor_options=ELSEWHERE, user_config=keys)
    graph.wait_for("ObjectTracking", engine="mmtracking", state="ready", within_s=180)
    graph.wait_for("FrameInterpolation", engine="mmediting", state="ready", within_s=180)

    answer = patiently(client, "/video/motInference", clip)
    assert answer.headers["x-sensorium-engine"] == "mmtracking"
    body = answer.json()
    expected = json.loads((tmp_path / "tracks.json").read_text())
    lines = [line.split(",") for line in client.get(body["tracks"]).text.splitlines()]
    assert len(lines) == sum(map(len, expected)) > 10
    worst = 0.0
    truth = ((number, *row) for number, rows in enumerate(expected, start=1) for row in rows)
    for line, (number, identity, left, top, right, bottom, score) in zip(lines, truth, strict=True):
        assert (int(line[0]), int(line[1])) == (number, identity + 1)
        row = np.array([left, top, right - left, bottom - top, score])
        worst = max(worst, np.abs(np.array(line[2:7], float) - row).max())
    print(f"{len(lines)} boxes; they differ by up to {worst:.4f}, of which the text's two decimals are 0.005")
    assert worst <= 0.005 + 1e-4
    assert frames_of(client.get(body["data"]).content).shape == (len(expected), 1080, 1920, 3)

    answer = patiently(client, "/video/mmeditingInference", clip)
    assert answer.headers["x-sensorium-engine"] == "mmediting"
    made = frames_of(client.get(answer.json()["data"]).content)
    smooth = np.load(tmp_path / "smooth.npy")
    encoded = io.BytesIO()
    with VideoWriter(encoded, fps=6, width=1920, height=1080) as writer:
        for frame in (*smooth, smooth[-1]):  # the last one is shown for its own time
            writer.write(frame)
    difference = np.abs(made.astype(int) - frames_of(encoded.getvalue())).max()
    print(f"{len(made)} frames; they differ by up to {difference}/255 from those of the API, encoded likewise")
    assert difference <= 1
    refused = client.post("/video/mmeditingInference?fps=10", files={"file": clip.read_bytes()})
    assert (refused.status_code, "6 or 12" in refused.text) == (400, True), refused.text


@pytest.mark.usefixtures("as_before")
def test_without_the_environment_the_others_work(graph: RunningGraph, client: httpx.Client) -> None:
    graph.edit("ObjectTracking", user_config={"engine": "mmtracking"})
    state = graph.wait_for("ObjectTracking", engine="mmtracking", state="failing")
    assert "make openmmlab" in state["reason"]
    answer = client.post("/video/motInference", files={"file": mp4(frames=4)})
    assert answer.status_code == 503
    assert "make openmmlab" in answer.text
    assert client.post("/video/mmeditingInference", files={"file": mp4(frames=4)}).status_code == 200


@pytest.mark.parametrize("ready", [False, True])
def test_the_launcher_takes_the_environment_that_is_there(ready: bool, tmp_path) -> None:
    """In a project whose path has a space, from another folder."""
    project = tmp_path / "a project"
    (project / "openmmlab").mkdir(parents=True)
    shutil.copy(PYTHON, project / "openmmlab")
    for name in (".venv", ".venv-openmmlab"):
        (project / name / "bin").mkdir(parents=True)
        python = project / name / "bin" / "python"
        python.write_text(f'#!/bin/sh\necho "{name} $PYTHONPATH $*"\n')
        python.chmod(0o755)
    if ready:
        (project / ".venv-openmmlab" / ".ready").touch()
    command = [project / "openmmlab" / "python", "worker.py", "--a b"]
    environment = {**os.environ, "PYTHONPATH": "elsewhere"}
    output = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True).stdout
    assert output == (f".venv-openmmlab {project} worker.py --a b\n" if ready else ".venv elsewhere worker.py --a b\n")


def edited(tmp_path: Path, environment: dict[str, Any]) -> Path:
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    block = next(b for b in raw["applications"][0]["deployments"] if b["name"] == "ObjectTracking")
    block["ray_actor_options"]["runtime_env"] = environment
    path = tmp_path / "serve_config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_the_executable_is_found_from_the_project(tmp_path) -> None:
    for given, meant in (
        ("openmmlab/python", str(PYTHON)),
        (sys.executable, sys.executable),
        ("python3.11 -X dev", "python3.11 -X dev"),
    ):
        schema = config.read(edited(tmp_path, {"py_executable": given}))
        block = next(b for b in schema.applications[0].deployments if b.name == "ObjectTracking")
        assert block.ray_actor_options.runtime_env["py_executable"] == meant
    for wrong, named in (({"py_executable": "openmmlab/pyhton"}, "pyhton"), ({"py_executabel": "a"}, "executabel")):
        with pytest.raises(config.ConfigInvalid, match=named):
            config.read(edited(tmp_path, wrong))


def test_both_environments_have_the_same_of_what_they_exchange() -> None:
    """Objects go from one to the other by pickle: the same Ray, pydantic and serializer."""
    ours, theirs = (
        dict(line.lower().split("==") for line in path.read_text().split() if "==" in line)
        for path in (ROOT / "constraints.txt", ROOT / "openmmlab" / "constraints.txt")
    )
    for package in ("ray", "pydantic", "pydantic_core", "pydantic-settings", "obstore", "av", "fastapi"):
        assert theirs[package] == ours[package], package
