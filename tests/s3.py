"""A real S3 server for tests: OpenStack Swift from PyPI, in an environment and a process of its own."""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SWIFT = "swift==2.38.3"
ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".venv-s3"
FULL_BUCKET_BYTES = 1_000_000


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        endpoint: its URL.
        folder: where it stores objects.
        bucket: an empty bucket.
        full_bucket: a bucket that takes no more than `FULL_BUCKET_BYTES`.
        access_key: who may use them.
        secret_key: and the secret.
    """

    endpoint: str
    folder: Path
    bucket: str = "sensorium"
    full_bucket: str = "small"
    access_key: str = "tests:tester"
    secret_key: str = "a-secret-for-tests"

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server on a free port of the loopback interface, for the whole session; skips if it cannot be installed."""
    python = _installed()
    folder = tmp_path_factory.mktemp("s3")
    server = S3Server("", folder)
    buckets = (server.bucket, f"{server.full_bucket}={FULL_BUCKET_BYTES}")
    command = [python, Path(__file__).with_name("s3_server.py"), folder]
    with subprocess.Popen(
        [*map(str, command), server.access_key, server.secret_key, *buckets], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], 30)
            line = process.stdout.readline() if ready else "nothing"
            assert line.startswith("READY "), f"the S3 server printed {line!r}"
            yield S3Server(f"http://127.0.0.1:{int(line.split()[1])}", folder)
        finally:
            process.terminate()


def _installed() -> Path:
    """The interpreter of an environment with Swift, made once; it appears whole: two runs may make it at once."""
    marker = ENVIRONMENT / SWIFT
    if not marker.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        fresh = ROOT / f".venv-s3-{os.getpid()}"
        try:
            subprocess.run([sys.executable, "-m", "venv", fresh], check=True, capture_output=True)
            install = [fresh / "bin" / "python", "-m", "pip", "install", "--quiet", SWIFT]
            made = subprocess.run(install, check=False, capture_output=True, text=True, timeout=240)
            if made.returncode != 0:
                pytest.skip(f"{SWIFT} cannot be installed here: {made.stderr.strip()[-200:]}")
            (fresh / SWIFT).touch()
            if not marker.exists():
                fresh.rename(ENVIRONMENT)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return ENVIRONMENT / "bin" / "python"
