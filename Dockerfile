# The image of every node. Its steps are the commands that `make` runs on any machine, pinned by constraints.txt.
FROM python:3.11-slim-bookworm AS sensorium

# make: the commands; wget: KubeRay's health probes
RUN apt-get update && apt-get install -y --no-install-recommends make wget && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 sensorium && mkdir /app && chown sensorium /app
USER sensorium
WORKDIR /app

COPY --chown=sensorium Makefile pyproject.toml constraints.txt README.md LICENSE THIRD_PARTY.md ./
RUN make .venv/.run-all
COPY --chown=sensorium pipelines pipelines
COPY --chown=sensorium deployments deployments
COPY --chown=sensorium cluster cluster
COPY --chown=sensorium openmmlab openmmlab
COPY --chown=sensorium vllm vllm
COPY --chown=sensorium serve_config*.yaml models.lock.yaml ./

# `ray start` and `serve deploy` are found by KubeRay's shells; every process of Ray inherits what follows.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0 \
    HF_HUB_OFFLINE=1 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.http.proxy:middlewares \
    SENSORIUM_DATA_DIR=/home/sensorium/data
EXPOSE 8000
CMD ["python", "-m", "deployments.commands.run", "serve_config.yaml"]

# With the environment of Chat's engine in serve_config.yaml, 10 GB more; Triton compiles its kernels with gcc.
FROM sensorium AS vllm
USER root
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
USER sensorium
RUN DEVICE=gpu make vllm

# `docker build --target openmmlab .`: the same with the environment of the engines mmtracking and mmediting, 6 GB more.
# mmcv's operators are compiled for A100 and H100 by the CUDA that its PyTorch was built with; no compiler stays.
FROM sensorium AS openmmlab-build
USER root
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
USER sensorium
RUN --mount=type=bind,from=nvidia/cuda:12.1.1-devel-ubuntu22.04,source=/usr/local/cuda-12.1,target=/usr/local/cuda-12.1 \
    CUDA_HOME=/usr/local/cuda-12.1 TORCH_CUDA_ARCH_LIST="8.0;9.0" make openmmlab

FROM vllm AS openmmlab
COPY --from=openmmlab-build --chown=sensorium /app/.venv-openmmlab .venv-openmmlab

# Without `--target` the image is what serve_config.yaml needs.
FROM vllm
