"""Fetch the weights that a configuration names: `python -m deployments.commands.pull serve_config.yaml`.

They go into the hub's own cache (`HF_HOME` moves it), where every library finds them; the graph itself never fetches.
Files that are already there are verified, not fetched again, and an interrupted transfer resumes where it ended.

`models.lock.yaml`, beside the configuration, names the commit of each model and the checksums of its files. What it
does not name yet is added: a branch or a tag is resolved once, so that the next pull, here or on another machine,
fetches the same files, and those that are there already are verified even without the hub.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from deployments import config
from deployments.commands.hub import FetchFailed, Hub, Plan
from deployments.commands.hub_private import RepoFile
from deployments.commands.interrupt import raise_on_signals
from pipelines.loading.lock import LOCK_NAME, Lock, read_lock
from pipelines.loading.weights import Weights


class Wanted(NamedTuple):
    """One model that a configuration needs."""

    weights: Weights
    deployment: str
    license: str


def named_in(path: Path) -> list[Wanted]:
    """The models that a configuration needs from a hub, each once.

    Raises:
        ConfigInvalid: the file cannot be served.
    """
    wanted: dict[Weights, Wanted] = {}
    for deployment, engine in config.chosen_engines(config.read(path)).items():
        for weights in engine.weights():
            if not weights.is_local:
                wanted.setdefault(weights, Wanted(weights, deployment, engine.card().license))
    return list(wanted.values())


def pull(wanted: list[Wanted], lock_path: Path, hub: Hub) -> bool:
    """Fetch all models, one after another; one that fails does not stop the others.

    Returns:
        Whether all of them are in the cache.

    Raises:
        ConfigInvalid: the lock is damaged.
    """
    lock = _read(lock_path)
    plans: dict[Wanted, Plan] = {}
    failed: dict[Wanted, str] = {}
    for each in wanted:
        try:
            plans[each] = _planned(each, lock, hub)
        except FetchFailed as error:
            failed[each] = str(error)
    _write(lock, lock_path)
    if shortage := _shortage(hub.cache, sum(plan.to_fetch_bytes for plan in plans.values())):
        failed.update(dict.fromkeys((each for each, plan in plans.items() if plan.absent), shortage))
    for each, plan in plans.items():
        if each not in failed:
            try:
                _fetch(each, plan, lock, hub)
            except FetchFailed as error:
                failed[each] = str(error)
    _write(lock, lock_path)
    print(_table(wanted, plans, failed), f"The files are in {hub.cache}.", sep="\n", flush=True)
    for each in filter(failed.get, wanted):
        print(f"{each.deployment}: {each.weights.model}: {failed[each]}.", file=sys.stderr, flush=True)
    return not failed


def _planned(wanted: Wanted, lock: Lock, hub: Hub) -> Plan:
    weights = wanted.weights
    entry = lock.entry(weights.model, weights.revision)
    if entry.commit is None:
        entry.commit, entry.files = hub.resolve(weights), {}
    commit = entry.commit
    kept = f" ({weights.revision})" if commit != weights.revision else ""
    print(f"{wanted.deployment}: {weights.model} at {commit}{kept}", flush=True)
    return hub.plan(weights, commit, entry.files, lambda name: print(f"  checking {name}", flush=True))


def _read(path: Path) -> Lock:
    try:
        return read_lock(path)
    except OSError as error:
        raise config.ConfigInvalid(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise config.ConfigInvalid(str(error)) from error


def _write(lock: Lock, path: Path) -> None:
    """Replace the file if something has changed; if its folder is read-only, report that and go on."""
    if lock.text() == _read(path).text():
        return
    draft = path.with_name(f"{path.name}.draft")
    try:
        draft.write_text(lock.text(), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        print(
            f"{path} cannot be written ({error.strerror}): another pull may fetch other files. "
            "Write the commits above as `revision:` into the configuration instead.",
            file=sys.stderr,
            flush=True,
        )
    else:
        print(f"{path} has been updated.", flush=True)


def _shortage(cache: Path, needed_bytes: int) -> str:
    """The message if the disk has too little room, else empty."""
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free_bytes = shutil.disk_usage(existing).free
    if needed_bytes <= free_bytes:
        return ""
    return (
        f"not fetched: {_readable(needed_bytes)} are needed in all, and the disk of {cache} has "
        f"{_readable(free_bytes)} free; make room, or move the cache with HF_HOME"
    )


def _fetch(wanted: Wanted, plan: Plan, lock: Lock, hub: Hub) -> None:
    weights = wanted.weights

    def starting(file: RepoFile) -> None:
        print(f"  {file.path}, {_readable(file.size)}", flush=True)

    if plan.absent:
        print(f"{wanted.deployment}: {weights.model}, {_readable(plan.to_fetch_bytes)} to fetch", flush=True)
    hub.fetch(plan, starting)
    lock.entry(weights.model, weights.revision).files.update(hub.checksums(plan))


def _table(wanted: list[Wanted], plans: dict[Wanted, Plan], failed: dict[Wanted, str]) -> str:
    rows = [("capability", "model", "commit", "size", "license", "")]
    for each in wanted:
        plan = plans.get(each)
        commit, size = (plan.commit[:12], _readable(plan.size_bytes)) if plan else ("", "")
        state = "missing" if each in failed else "here"
        rows.append((each.deployment, each.weights.model, commit, size, each.license, state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(["", *lines, ""])


def _readable(size_bytes: int) -> str:
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.{0 if unit == 'B' else 1}f} {unit}"


def main() -> int:
    """Fetch everything; the exit status is 1 if something is still missing, 2 if a file is invalid."""
    raise_on_signals()
    parser = argparse.ArgumentParser(description="Fetch the weights that a configuration names.")
    parser.add_argument("config", type=Path, help="a serve_config*.yaml")
    path = parser.parse_args().config
    try:
        wanted = named_in(path)
        if wanted:
            return 0 if pull(wanted, path.with_name(LOCK_NAME), Hub()) else 1
    except config.ConfigInvalid as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. What has arrived stays: run this again to continue.", file=sys.stderr)
        return 130
    print(f"{path.name} names no model on a hub: its engines need no weights, or have them in local folders.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
