# The image of every node. Its steps are the commands that `make` runs on any machine, pinned by constraints.txt.
FROM python:3.11-slim-bookworm

# make: the commands; wget: KubeRay's health probes
RUN apt-get update && apt-get install -y --no-install-recommends make wget && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 sensorium && mkdir /app && chown sensorium /app
USER sensorium
WORKDIR /app

COPY --chown=sensorium Makefile pyproject.toml constraints.txt README.md ./
RUN make .venv/.run
COPY --chown=sensorium pipelines pipelines
COPY --chown=sensorium deployments deployments
COPY --chown=sensorium cluster cluster
COPY --chown=sensorium serve_config*.yaml ./

# `ray start` and `serve deploy` are found by KubeRay's shells; every process of Ray inherits what follows.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0 \
    HF_HUB_OFFLINE=1 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.proxy:middlewares \
    SENSORIUM_DATA_DIR=/home/sensorium/data
EXPOSE 8000
CMD ["python", "-m", "deployments.run", "serve_config.yaml"]
