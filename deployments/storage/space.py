"""A reserve of every disk that is written to: whoever fills it up takes the databases of jobs and documents along."""

import shutil
from pathlib import Path

from pipelines.contracts.errors import StorageFull

RESERVE_BYTES = 1_000_000_000
RESERVE_SHARE = 0.05  # of a small disk


def require_space(folder: Path) -> None:
    """Refuse to write where only the reserve is left.

    Raises:
        StorageFull: less is free.
    """
    disk = shutil.disk_usage(folder)
    if disk.free < min(RESERVE_BYTES, disk.total * RESERVE_SHARE):
        raise StorageFull("The server's disk is full.")
