"""A real PostgreSQL server on loopback, from Debian's package, with its own folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import free_port


def program(name: str) -> str:
    """Where a program of PostgreSQL is: Debian keeps some outside of PATH."""
    places = [shutil.which(name), *map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True))]
    found = next((place for place in places if place), None)
    if found is None:
        pytest.fail(f"{name} is not installed: `make test` installs postgresql with apt-get, or says who can")
    return found


@contextmanager
def postgres_in_tmp() -> Iterator[str]:
    """A running server in a folder with a short path, as its socket needs; see `postgres`."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder, postgres(Path(folder)) as url:
        yield url


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A running server; gives SQLAlchemy's URL of its database."""
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    calm = {"cwd": "/", "stdout": subprocess.DEVNULL, **as_user}
    subprocess.run([program("initdb"), "-D", data, "-U", "sensorium", "-A", "trust", "-E", "UTF8"], check=True, **calm)
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    control = [program("pg_ctl"), "-D", data, "-w", "-t", "60"]
    subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], check=True, **calm)
    try:
        yield f"postgresql+psycopg://sensorium@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, **calm)
