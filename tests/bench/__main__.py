"""What the graph costs, printed as tables: `make bench`, or `make bench BENCH="latency video"`, `BENCH="--full video"`.

Every figure stands beside the bare call: the same work by the same engine, in this process, without the graph. Both are
measured in turns in one run, so that a noisy machine disturbs both alike and the ratio still holds. Nothing here passes
or fails. Everything is bounded in number and stays on loopback.
"""

import argparse
import os
import signal
import tempfile
from pathlib import Path

from tests.bench import documents, latency, models, openmmlab, quality, speech, start, video, vllm
from tests.bench.setting import Bench, table
from tests.serving import ROOT

LOCAL = ROOT / "serve_config.local.yaml"
GROUPS = {
    "quality": quality,
    "start": start,
    "latency": latency,
    "video": video,
    "speech": speech,
    "documents": documents,
    "models": models,
    "vllm": vllm,
    "openmmlab": openmmlab,
}

parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What the graph costs.")
parser.add_argument("groups", nargs="*", metavar="group", help=f"any of {', '.join(GROUPS)}; default: all")
parser.add_argument("--full", action="store_true", help="more calls, 10-minute videos, 100,000 passages")
parser.add_argument("--config", type=Path, default=LOCAL, help="a serve_config*.yaml, for the group quality")
chosen = parser.parse_args()
if chosen.config.resolve() != LOCAL and chosen.groups != ["quality"]:
    parser.error("only `quality` takes another configuration; the others stand beside the engines of the local one")
if unknown := set(chosen.groups) - set(GROUPS):
    parser.error(f"there is no group {', '.join(sorted(unknown))}")
print(
    f"{os.cpu_count()} cores, load at the start {os.getloadavg()[0]:.1f}; median (p10–p90; of fewer than 10: min–max)"
)
for number in (
    signal.SIGINT,
    signal.SIGTERM,
):  # so that the graph ends with this process, in the background of a shell too
    signal.signal(number, signal.default_int_handler)
with tempfile.TemporaryDirectory() as folder, Bench(Path(folder), full=chosen.full, config=chosen.config) as bench:
    for name, group in GROUPS.items():
        if not chosen.groups or name in chosen.groups:
            rows = list(group.measure(bench))
            print(f'\n{name}: {group.__doc__}\nmake bench BENCH="{name}{" --full" * chosen.full}"\n')
            table(getattr(group, "HEAD", ("figure", "n", "graph", "bare", "ratio")) + group.FURTHER, rows)
