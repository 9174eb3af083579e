"""What the groups share: one running graph, one set of bare engines, and how figures are shown."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from tests.bench.bare import Engines
from tests.serving import RunningGraph, running


class Bench(ExitStack):
    """One run. The graph and the engines are started when a group first wants them, and end with it."""

    def __init__(self, folder: Path, *, full: bool, config: Path) -> None:
        super().__init__()
        self.folder, self.full, self.config = folder, full, config
        self.starts_s: list[float] = []

    @contextmanager
    def launch(self) -> Iterator[RunningGraph]:
        """A fresh graph, timed from the launch of its command until it says that it is ready."""
        say("starting a graph")
        folder = self.folder / f"graph{len(self.starts_s)}"
        folder.mkdir()
        started_s = time.perf_counter()
        with running(folder, self.config) as graph:
            self.starts_s.append(time.perf_counter() - started_s)
            yield graph

    @cached_property
    def graph(self) -> RunningGraph:
        return self.enter_context(self.launch())

    @cached_property
    def engines(self) -> Engines:
        say("loading the bare engines")
        return Engines(self.folder / "bare")


def say(text: str) -> None:
    """What is going on, beside the tables."""
    print(f"  … {text}", file=sys.stderr, flush=True)


def seconds(work: Callable[..., object], *args: object) -> float:
    started_s = time.perf_counter()
    work(*args)
    return time.perf_counter() - started_s


def spread(values: Sequence[float]) -> str:
    """The median and, of several, their 10th to 90th percentile; of fewer than ten, their extremes."""
    ends = (10, 90) if len(values) >= 10 else (0, 100)
    middle, low, high = (f"{value:,.1f}" for value in np.percentile(values, (50, *ends)))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def beside(figure: str, graph: Sequence[float], bare: Sequence[float], *further: object) -> list[object]:
    """One row: a figure of the graph, that of the bare call, the ratio of their medians."""
    count = len(graph) if len(graph) == len(bare) else f"{len(graph)}, {len(bare)}"
    return [figure, count, spread(graph), spread(bare), f"×{np.median(graph) / np.median(bare):.2f}", *further]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the rows: the first column to the left, the others to the right."""
    lines = [[str(cell) for cell in row] + [""] * (len(head) - len(row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for first, *others in lines:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)
