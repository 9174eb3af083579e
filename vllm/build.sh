#!/usr/bin/env bash
# The environment of the engine `vllm`: `make vllm`.
#
# vLLM pins its own FastAPI, numpy and transformers, so it gets a virtual environment separate from the main one, of the
# same Python and the same Ray. Every package is pinned, so that pip has nothing to resolve. An interrupted build resumes.
#
#   DEVICE    `gpu` (CUDA 13, 10 GB) or `cpu` (x86-64 with AVX2, 4 GB); default: `gpu` if there is an NVIDIA driver
set -euo pipefail
cd "$(dirname "$0")/.."

environment=$PWD/.venv-vllm
python=$environment/bin/python
: "${DEVICE:=$(command -v nvidia-smi >/dev/null && echo gpu || echo cpu)}"
pins=$PWD/vllm/constraints.$DEVICE.txt
[[ -f $pins ]] || { echo "DEVICE must be gpu or cpu, not $DEVICE" >&2; exit 1; }

pip() { "$python" -m pip --disable-pip-version-check install --no-deps "$@"; }

"${PYTHON:=python3.11}" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "vLLM's environment needs the main one's Python, 3.11: make vllm PYTHON=…" >&2
    exit 1
}
rm -f "$environment/.ready" # until the build is done, `vllm/python` uses the main environment
[[ -x $python ]] || "$PYTHON" -m venv "$environment"
if [[ $DEVICE == cpu ]]; then # PyTorch keeps its CPU build on an index of its own
    pip --extra-index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' "$pins")"
fi
pip -r "$pins"
"$python" - <<'END'
import ray
import torch
import vllm
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: F401

print(f"vLLM {vllm.__version__} for {current_platform.device_type}, torch {torch.__version__}, ray {ray.__version__}")
END
touch "$environment/.ready"
cat <<END

vLLM's environment is ready: $(du -sLh "$environment" | cut -f1) in $environment. Name it in Chat's block:

  ray_actor_options: {num_cpus: 1, num_gpus: 0.29, runtime_env: {py_executable: vllm/python}}
  user_config: {engine: vllm, model: Qwen/Qwen3-8B}
END
