"""Run the graph on this machine: `python -m deployments.commands.run [serve_config.local.yaml]`.

Starts Ray and Serve, shows what is still starting, prints how to use it, and applies the file again whenever it is
saved. Ctrl-C stops everything.
"""

import argparse
import json
import logging
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from deployments.commands.interrupt import raise_on_signals
from deployments.http.network import HOW_TO_PROTECT, is_loopback
from deployments.principals.registry import Registry
from deployments.principals.table import PrincipalTable
from deployments.private import keep_private, ray_folder, ray_token
from deployments.settings import PROJECT, Settings
from pipelines.contracts.errors import Overloaded
from pipelines.loading.lock import LOCK_NAME

DEFAULT_CONFIG = PROJECT / "serve_config.local.yaml"
POLL_INTERVAL_S = 1.0

# Read by Ray when it is imported, and inherited by all its processes: so functions import Ray here, not the module.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.http.proxy:middlewares",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "HF_HUB_OFFLINE": "1",  # only `make pull` fetches
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Run Sensorium on this machine.")
    parser.add_argument("config", nargs="?", type=Path, default=DEFAULT_CONFIG, help="a serve_config*.yaml")
    path = parser.parse_args().config.absolute()
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["SENSORIUM_MODELS_LOCK"] = str(path.with_name(LOCK_NAME))  # for Ray's processes too
    raise_on_signals()
    from deployments import config

    try:
        schema = config.read(path)
        host, port = schema.http_options.host, schema.http_options.port
        settings = Settings(**schema.applications[0].args)
        keep_private(settings.data_dir)
        refusal = _refusal(host, port, settings)
    except (config.ConfigInvalid, Overloaded) as error:
        refusal = str(error)
    if refusal:
        print(refusal, file=sys.stderr)
        return 2
    os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(ray_token(settings.data_dir)))
    return _serve(path, port)


def _refusal(host: str, port: int, settings: Settings) -> str:
    if not is_loopback(host) and not Registry(PrincipalTable(settings.jobs_url), settings).requires_keys():
        return f"Refusing to serve {host} without API keys: {HOW_TO_PROTECT}."
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return f"Port {port} on {host} cannot be used ({error.strerror}). Is Sensorium running already?"
    return ""


def _serve(path: Path, port: int) -> int:
    import ray
    from ray import serve

    started_s = time.monotonic()
    print("Starting Ray …", flush=True)
    try:
        # `local`: never another cluster that this machine knows of
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            namespace="serve",
            logging_level=logging.WARNING,
            _temp_dir=str(ray_folder() / "ray"),  # Ray opens this one to everybody
        )
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        _apply(path)
        if not _wait_until_ready(port, started_s):
            return 1
        print(_welcome(path, port, time.monotonic() - started_s), flush=True)
        _apply_changes(path)
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if ray.is_initialized():  # without Ray, Serve's shutdown would start it
            serve.shutdown()  # type: ignore[no-untyped-call]  # Ray's
            ray.shutdown()
    return 0


def _apply(path: Path) -> None:
    """Hand the file to Serve, which changes what differs."""
    from deployments import config
    from deployments.client import controller

    controller.deploy(config.read(path))


def _apply_changes(path: Path) -> None:
    from ray.exceptions import RayError

    from deployments import config

    seen = path.stat().st_mtime_ns
    while True:
        time.sleep(POLL_INTERVAL_S)
        try:
            now = path.stat().st_mtime_ns
        except FileNotFoundError:  # an editor that replaces the file on saving
            continue
        if now == seen:
            continue
        seen = now
        try:
            _apply(path)
        except (config.ConfigInvalid, RayError) as error:
            print(f"{error}\nThe graph runs on as before.", file=sys.stderr, flush=True)
        else:
            print(f"{path.name} has changed: applied.", flush=True)


def _readiness(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as response:
            body: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        body = json.loads(error.read()) if error.headers.get_content_type() == "application/json" else {}
    except (OSError, ValueError):
        body = {}
    return body


def _wait_until_ready(port: int, started_s: float) -> bool:
    from ray import serve

    last = ""
    while True:
        body = _readiness(port)
        if body.get("status") == "ready":
            return True
        applications = serve.status().applications
        for application in applications.values():
            if application.status == "DEPLOY_FAILED":
                print(f"The graph could not be deployed: {application.message}", file=sys.stderr)
                return False
        capabilities = body.get("capabilities", {})
        waiting = [name for name, it in capabilities.items() if it["state"] in ("starting", "loading")]
        line = f"{len(capabilities) - len(waiting)} of {len(capabilities)} capabilities are up"
        line += f"; waiting for {', '.join(waiting)}" if waiting else ""
        line = line if capabilities else "the graph is being built"
        if line != last:
            print(f"  {time.monotonic() - started_s:4.0f} s  {line}", flush=True)
            last = line
        time.sleep(POLL_INTERVAL_S)


def _welcome(path: Path, port: int, took_s: float) -> str:
    from deployments import config

    capabilities = _readiness(port).get("capabilities", {})
    rows = []
    for deployment, chosen in config.chosen_engines(config.read(path)).items():
        kind = "embedded" if chosen.card().embedded else chosen.card().model
        state = capabilities.get(deployment, {})
        trouble = f"  {state['state']}: {state['reason']}" if state.get("state") == "failing" else ""
        rows.append(f"    {deployment:<20} {chosen.engine:<16} {kind}{trouble}")
    return "\n".join(
        [
            "",
            f"Sensorium is ready, after {took_s:.0f} s.",
            f"  Console   http://127.0.0.1:{port}",
            f"  Docs      http://127.0.0.1:{port}/docs",
            "  Engines",
            *rows,
            "  The embedded engines let you start; they do not compete with models. For real models see README.md,",
            f"  “Real models”, then edit {path.name}: a saved change is applied while this runs.",
            "  Stop      Ctrl-C",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
