"""Files for their owner only: what the installation keeps, and what Ray keeps beside it."""

import os
import secrets
import tempfile
from pathlib import Path

TOKEN_NAME = "ray-token"  # noqa: S105  a file


def keep_private(data_dir: Path) -> None:
    """Let nobody else read what this process writes from now on, nor enter the data folder.

    A folder that belongs to another user, as volumes of a cluster may, keeps its mode.
    """
    os.umask(0o077)
    data_dir.mkdir(parents=True, exist_ok=True)
    if data_dir.stat().st_uid == os.getuid():
        data_dir.chmod(0o700)


def ray_token(data_dir: Path) -> Path:
    """The file of Ray's token, made if it is not there: whoever has it can run code in all of Ray's processes."""
    path = data_dir / TOKEN_NAME
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    return path


def ray_folder() -> Path:
    """Where Ray keeps the folder of its sessions, which it opens to everybody: sockets, and logs of all processes.

    Not in the data folder: the path of a socket has at most 107 bytes.

    Raises:
        PermissionError: another user has made a folder of its name.
    """
    folder = Path(tempfile.gettempdir()) / f"sensorium-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user. Remove it, then start again.")
    folder.chmod(0o700)
    return folder
