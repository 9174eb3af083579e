#!/usr/bin/env bash
# The environment of the engines `mmtracking` and `mmediting`: `make openmmlab`.
#
# OpenMMLab's packages are archived and need a PyTorch of 2023, so they get a virtual environment separate from the main
# one. It needs Python 3.11 (as the main one does), a C++ compiler, 9 GB of disk and, the first time, half an hour: mmcv has
# no wheel for this PyTorch and is compiled once. The wheel is cached, and an interrupted build resumes.
#
#   CUDA_HOME            where a CUDA 12 compiler is (default: that of the `nvcc` on the PATH); without one mmcv's CUDA
#                        operators are left out, and trackers run on the CPU; CAIN and FLAVR do not need them
#   TORCH_CUDA_ARCH_LIST the GPUs to compile them for (default: 8.0;9.0, which is A100 and H100)
#   MAX_JOBS             parallel compilers (default: one per core)
#   SENSORIUM_CACHE      where the compiled wheel is kept (default: ~/.cache/sensorium)
set -euo pipefail
cd "$(dirname "$0")/.."

environment=$PWD/.venv-openmmlab
python=$environment/bin/python
pins=$PWD/openmmlab/constraints.txt
packages=$PWD/openmmlab/requirements.txt
archived=$PWD/openmmlab/archived.txt
stamp=$(cat "$pins" "$packages" "$archived" | sha256sum | cut -c1-16)
started=$SECONDS

pip() { "$python" -m pip --disable-pip-version-check "$@"; }
pinned() { grep -i "^$1==" "$pins" "$archived" -h | cut -d= -f3; }
minutes() { printf '%d:%02d min' $(($1 / 60)) $(($1 % 60)); }

step() { # step NUMBER TEXT COMMAND: run COMMAND unless it is done for these pins
    local done=$environment/.done-$1 since=$SECONDS
    if [[ -f $done && $(<"$done") == "$stamp" ]]; then
        echo "[$1/4] $2: done before"
        return
    fi
    echo "[$1/4] $2 …"
    "$3"
    echo "$stamp" >"$done"
    echo "[$1/4] $2: done in $(minutes $((SECONDS - since)))"
}

install_torch() {
    pip install -c "$pins" setuptools wheel ninja packaging pyyaml numpy torch torchvision
}

find_cuda() { # a CUDA 12 compiler, the kind that this PyTorch can be extended with
    local nvcc=${CUDA_HOME:+$CUDA_HOME/bin/}nvcc
    nvcc=$(command -v "$nvcc") || return 1
    [[ $("$nvcc" --version) == *"release 12."* ]] || return 1
    dirname "$(dirname "$(readlink -f "$nvcc")")"
}

compile_mmcv() {
    local version kind=cpu cuda wheels
    version=$(pinned mmcv-full)
    if cuda=$(find_cuda); then
        kind=cuda12-$(tr -d '.' <<<"${TORCH_CUDA_ARCH_LIST:=8.0;9.0}" | tr ';' '-')
        export FORCE_CUDA=1 CUDA_HOME=$cuda TORCH_CUDA_ARCH_LIST
    else
        export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES= # a GPU alone must not trigger a CUDA build
    fi
    wheels=${SENSORIUM_CACHE:-$HOME/.cache/sensorium}/openmmlab/mmcv-$version-torch$(pinned torch)-$kind
    if ! compgen -G "$wheels/*.whl" >/dev/null; then
        fetch_mmcv "$version" "$wheels"
        (
            cd "$wheels/source"
            # ninja resumes an interrupted build
            MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(nproc)} "$python" setup.py bdist_wheel -d "$wheels/made" 2>&1 |
                tee "$wheels/log" | sed -nu 's/^\(\[[0-9]*\/[0-9]*\]\).*/      \1 compiled/p'
        ) || {
            tail -n 30 "$wheels/log" >&2
            echo "mmcv could not be compiled; see $wheels/log." >&2
            return 1
        }
        mv "$wheels"/made/*.whl "$wheels"
        rm -rf "$wheels/source" "$wheels/made"
    fi
    pip install --no-deps --force-reinstall "$wheels"/*.whl
}

fetch_mmcv() { # fetch_mmcv VERSION FOLDER: its source, once
    [[ -f $2/source/setup.py ]] && return
    mkdir -p "$2/unpacked"
    pip download -q --no-deps --no-build-isolation --no-binary mmcv-full -d "$2" "mmcv-full==$1"
    tar -xzf "$2/mmcv-full-$1.tar.gz" -C "$2/unpacked" --strip-components=1
    rm "$2/mmcv-full-$1.tar.gz"
    mv "$2/unpacked" "$2/source"
}

install_packages() {
    pip install -c "$pins" -r "$packages"
    pip install --no-deps -r <(grep -v '^mmcv-full' "$archived") # their upper bounds are years old
}

check() {
    "$python" - <<'END'
import warnings

warnings.simplefilter("ignore")
import av, mmcv, mmedit, mmtrack, numpy, ray, torch  # noqa: E401
from mmcv.ops import get_compiling_cuda_version, nms
from mmedit.apis import init_model as _  # noqa: F401
from mmtrack.apis import init_model as _  # noqa: F401

boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)[1].tolist() == [0, 2]
print(
    f"      mmtrack {mmtrack.__version__}, mmedit {mmedit.__version__}, mmcv {mmcv.__version__} "
    f"(CUDA operators: {get_compiling_cuda_version()}), torch {torch.__version__}, ray {ray.__version__}"
)
END
}

"${PYTHON:=python3.11}" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "OpenMMLab's environment needs Python 3.11, for which PyTorch $(pinned torch) was built: make openmmlab PYTHON=…" >&2
    exit 1
}
rm -f "$environment/.ready" # until the build is done, `openmmlab/python` uses the main environment
[[ -x $python ]] || "$PYTHON" -m venv "$environment"
step 1 "PyTorch $(pinned torch) (a download of 2.5 GB)" install_torch
step 2 "mmcv $(pinned mmcv-full) with its operators (compiled once, some 20 minutes on 2 cores)" compile_mmcv
step 3 "mmtrack, mmedit and their dependencies" install_packages
step 4 "smoke test" check
touch "$environment/.ready"
cat <<END

OpenMMLab's environment is ready, after $(minutes $((SECONDS - started))): $(du -sh "$environment" | cut -f1) in $environment.
Name it in the block of ObjectTracking or FrameInterpolation in your serve_config, with your config and checkpoint:

  ray_actor_options: {num_cpus: 0, runtime_env: {py_executable: openmmlab/python}}
  user_config:
    engine: mmtracking      # FrameInterpolation: mmediting
    config: bytetrack/bytetrack_yolox_x_crowdhuman_mot17-private-half
    checkpoint: ~/checkpoints/bytetrack.pth
END
