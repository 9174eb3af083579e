"""Seconds from the command to a graph that is ready, and what its processes weigh then, PSS in MB.

Bare: a process that loads all ten engines and does no more. The limits are those of a laptop with two cores.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

from tests.bench.setting import Bench, beside, say, seconds, spread
from tests.serving import ROOT, RunningGraph

FURTHER = ("limit",)


def processes(graph: RunningGraph) -> list[tuple[str, psutil.Process]]:
    """The tree below the launcher, each process with its name: a deployment, a part of Serve or of Ray."""
    launcher = psutil.Process(graph.process.pid)
    children = [(child, child.cmdline()) for child in launcher.children(recursive=True) if child.is_running()]
    return [("launcher", launcher), *((_name(command), child) for child, command in children if command)]


def _name(command: list[str]) -> str:
    """`Chat` of "ray::ServeReplica:sensorium:Chat.stream", `log_monitor` of "python -u …/log_monitor.py"."""
    program = next(word for word in command if not re.search(r"(^-.*|/python[\d.]*)$", word))
    return Path(program).stem.split(":")[-1]


def measure(bench: Bench) -> list[list[object]]:
    bare_s, bare_mb, tree_mb = [], [], []
    parts_mb: defaultdict[str, list[float]] = defaultdict(list)

    def load_bare() -> None:
        say("loading the bare engines in a separate process")
        command = [sys.executable, "-m", "tests.bench.bare"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        bare_mb.append(int(done.stdout.split()[-1]) / 1e6)

    def weigh(graph: RunningGraph) -> None:
        now_mb: Counter[str] = Counter()
        for name, process in processes(graph):
            with suppress(psutil.NoSuchProcess):  # a worker that has just ended
                now_mb[name] += process.memory_full_info().pss / 1e6
        tree_mb.append(now_mb.total())
        for name, weight_mb in now_mb.items():
            parts_mb[name].append(weight_mb)

    for _ in range(4 if bench.full else 1):
        bare_s.append(seconds(load_bare))
        with bench.launch() as graph:
            weigh(graph)
    bare_s.append(seconds(load_bare))
    weigh(bench.graph)
    heaviest_first = sorted(parts_mb.items(), key=lambda item: -max(item[1]))
    return [
        beside("ready after, s", bench.starts_s, bare_s, "90"),
        beside("the whole tree, MB", tree_mb, bare_mb, "4,000"),
        *([f"  {name}", len(values), spread(values)] for name, values in heaviest_first),
    ]
