"""A running graph for tests: the very command that people run, on free loopback ports, with a store of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 240
MODELS = ROOT / ".pytest_cache" / "models"
"""Where all graphs of the tests keep what they make of GGUF files: it takes half a minute, once."""


def free_port() -> int:
    """A port on loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningGraph:
    """One `python -m deployments.commands.run`, its YAML, and where it keeps things."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", config: Path, url: str) -> None:
        self.folder = folder
        self.process = process
        self.config = config
        self.url = url
        self.data = folder / "data"

    def log(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def edit(self, deployment: str, **changes: Any) -> None:
        """Change one deployment's block in the YAML, as a person would; the graph takes it in by itself."""
        raw = yaml.safe_load(self.config.read_text())
        block = next(block for block in raw["applications"][0]["deployments"] if block["name"] == deployment)
        block.update(changes)
        draft = self.config.with_suffix(".draft")
        draft.write_text(yaml.safe_dump(raw, allow_unicode=True))
        draft.replace(self.config)

    def block(self, deployment: str) -> dict[str, Any]:
        """One deployment's block as it stands in the YAML."""
        raw = yaml.safe_load(self.config.read_text())
        found: dict[str, Any] = next(b for b in raw["applications"][0]["deployments"] if b["name"] == deployment)
        return found

    def state(self, deployment: str) -> dict[str, Any]:
        """What `/readyz` says of one capability."""
        found: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=30).json()["capabilities"][deployment]
        return found

    def wait_for(self, deployment: str, within_s: float = 60, **wanted: str) -> dict[str, Any]:
        """Wait until `/readyz` says this of a capability."""
        ends_s = time.monotonic() + within_s
        while True:
            state = self.state(deployment)
            if all(state[key] == value for key, value in wanted.items()):
                return state
            if time.monotonic() > ends_s:
                raise AssertionError(f"{deployment} is {state}, not {wanted}, after {within_s} s")
            time.sleep(0.3)

    def pids(self) -> set[int]:
        """Every process of it: those that carry its mark in their environment."""
        mark = f"SENSORIUM_DATA_DIR={self.data}".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
                except OSError:
                    continue
        return found


def with_engines(path: Path, chosen: dict[str, dict[str, Any]]) -> Path:
    """The laptop's YAML with other `user_config`s, by deployment name, written to `path`."""
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    for block in raw["applications"][0]["deployments"]:
        if block["name"] in chosen:
            block["user_config"] = chosen[block["name"]]
    path.write_text(yaml.safe_dump(raw))
    return path


@contextmanager
def running(
    folder: Path, config: Path = ROOT / "serve_config.local.yaml", *, env: dict[str, str] | None = None, **args: Any
) -> Iterator[RunningGraph]:
    """Start a graph, wait until it is ready, stop it by Ctrl-C, and see that no process is left.

    Args:
        folder: for its YAML, log, object store and knowledge base.
        config: the YAML to start from; it is copied.
        env: further environment variables.
        args: settings under the application's `args`.
    """
    MODELS.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    if not (folder / "data" / "models").exists():
        (folder / "data" / "models").symlink_to(MODELS)
    port = free_port()
    raw = yaml.safe_load(config.read_text())
    raw["http_options"]["port"] = port
    raw["applications"][0]["args"] = args
    copy = folder / "serve_config.yaml"
    copy.write_text(yaml.safe_dump(raw, allow_unicode=True))
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # the tests' own
    environment = {**inherited, "SENSORIUM_DATA_DIR": str(folder / "data"), **(env or {})}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.commands.run", str(copy)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    graph = RunningGraph(folder, process, copy, f"http://127.0.0.1:{port}")
    try:
        _wait_until_welcome(graph)
        yield graph
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        finally:
            left = graph.pids()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
    assert not left, f"processes were left behind: {left}"


def _wait_until_welcome(graph: RunningGraph) -> None:
    ends_s = time.monotonic() + READY_WITHIN_S
    while not re.search(r"Sensorium is ready", graph.log()):
        if graph.process.poll() is not None or time.monotonic() > ends_s:
            raise AssertionError(f"the graph did not start:\n{graph.log()}")
        time.sleep(0.5)
