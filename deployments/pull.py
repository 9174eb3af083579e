"""Fetch the weights that a configuration names: `python -m deployments.pull serve_config.yaml`.

They go into the hub's own cache (`HF_HOME` moves it), where every library finds them; the graph itself never fetches.
What is there already is not fetched again, and a transfer that broke off is taken up where it ended.
"""

import argparse
import sys
from pathlib import Path

from httpx2 import HTTPError  # what huggingface_hub's client raises
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from deployments import config
from deployments.engines import CONFIGS
from deployments.handles import deployment_name
from pipelines.weights import Weights


def named_in(path: Path) -> dict[str, tuple[Weights, ...]]:
    """What each capability of a configuration needs from a hub, by deployment name.

    Raises:
        ConfigInvalid: the file cannot be served.
    """
    blocks = {block.name: block.user_config or {} for block in config.read(path).applications[0].deployments}
    needed = {}
    for capability, adapter in CONFIGS.items():
        name = deployment_name(capability)
        chosen = adapter.validate_python(blocks[name])
        if remote := tuple(weights for weights in chosen.weights() if not weights.is_local):
            needed[name] = remote
    return needed


def fetch(weights: Weights) -> str:
    """Fetch one model with a progress bar.

    Returns:
        What went wrong, in words for a person; empty when all is there.
    """
    try:
        snapshot_download(weights.model, revision=weights.revision, allow_patterns=list(weights.files) or None)
    except GatedRepoError:
        return "its licence has to be accepted on its page first; then set HF_TOKEN to a token of that account"
    except RepositoryNotFoundError:
        return "the hub has no such model, or it is private and HF_TOKEN is not set"
    except RevisionNotFoundError:
        return f"the hub has no revision {weights.revision!r} of it"
    except (HTTPError, LocalEntryNotFoundError) as error:
        return f"the hub could not be reached or broke off ({type(error).__name__}); run this again to go on"
    except OSError as error:
        return f"it could not be stored: {error.strerror or type(error).__name__}"
    return ""


def main() -> int:
    """Fetch everything; the exit status is 1 where something is still missing."""
    parser = argparse.ArgumentParser(description="Fetch the weights that a configuration names.")
    parser.add_argument("config", type=Path, help="a serve_config*.yaml")
    path = parser.parse_args().config
    try:
        needed = named_in(path)
    except config.ConfigInvalid as error:
        print(error, file=sys.stderr)
        return 2
    if not needed:
        print(f"{path.name} names no model on a hub: its engines need no weights, or have them in local folders.")
    failed = 0
    for deployment, models in needed.items():
        for weights in models:
            print(f"{deployment}: {weights.model} at {weights.revision}", flush=True)
            if trouble := fetch(weights):
                failed += 1
                print(f"{deployment}: {weights.model}: {trouble}.", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
