"""Seconds from the command to a graph that is ready, and what its processes weigh then, PSS in MB.

Bare: a process that loads all ten engines and does no more. The limits are those of a laptop with two cores.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict

import psutil

from tests.bench.setting import Bench, beside, say, seconds, spread
from tests.serving import ROOT, RunningGraph

FURTHER = ("limit",)
ROLES = {
    r"ray::ServeReplica:\w+:(\w+)": r"replica \1",
    r"ray::ServeController": "Serve's controller",
    r"ray::ProxyActor": "HTTP proxy",
    r"ray::DashboardAgent": "dashboard agent",
    r"ray::RuntimeEnvAgent": "runtime environment agent",
    r"ray::": "idle workers",
    r"deployments\.run": "launcher",
    r"raylet/raylet ": "raylet",
    r"gcs/gcs_server ": "gcs",
    r"dashboard/dashboard\.py": "dashboard's server",
    r"log_monitor\.py": "log monitor",
    r"monitor\.py": "autoscaler's monitor",
}


def processes(graph: RunningGraph) -> list[tuple[str, psutil.Process]]:
    """The tree below the launcher, each process with what it is."""
    launcher = psutil.Process(graph.process.pid)
    tree = [launcher, *launcher.children(recursive=True)]
    return [(_role(" ".join(process.cmdline())), process) for process in tree]


def _role(command: str) -> str:
    found = (match.expand(role) for pattern, role in ROLES.items() if (match := re.search(pattern, command)))
    return next(found, "other")


def measure(bench: Bench) -> list[list[object]]:
    bare_s, bare_mb, tree_mb = [], [], []
    roles_mb: defaultdict[str, list[float]] = defaultdict(list)

    def load_bare() -> None:
        say("loading the bare engines into a process of their own")
        command = [sys.executable, "-m", "tests.bench.bare"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        bare_mb.append(int(done.stdout.split()[-1]) / 1e6)

    def weigh(graph: RunningGraph) -> None:
        now_mb: Counter[str] = Counter()
        for role, process in processes(graph):
            now_mb[role] += process.memory_full_info().pss / 1e6
        tree_mb.append(now_mb.total())
        for role, weight_mb in now_mb.items():
            roles_mb[role].append(weight_mb)

    for _ in range(4 if bench.full else 1):
        bare_s.append(seconds(load_bare))
        with bench.launch() as graph:
            weigh(graph)
    bare_s.append(seconds(load_bare))
    weigh(bench.graph)
    heaviest_first = sorted(roles_mb.items(), key=lambda item: -max(item[1]))
    return [
        beside("ready after, s", bench.starts_s, bare_s, "90"),
        beside("the whole tree, MB", tree_mb, bare_mb, "4,000"),
        *([f"  {role}", len(values), spread(values)] for role, values in heaviest_first),
    ]
