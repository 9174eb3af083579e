"""Where model weights come from: a local folder, a Python package, or a hub repository that `make pull` has fetched.

An engine never fetches: serving must not depend on the network, and a download of gigabytes inside a call or a start
would look like a hang. An error names what is missing and the command that fetches it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.lock import locked_commit
from pipelines.loading.packaged import is_packaged, locate_packaged, package_of


@dataclass(frozen=True)
class Weights:
    """What one engine needs from one hub repository.

    Attributes:
        model: hub id ("owner/name"), a local folder or file, or `package:` and a place in a Python package.
        revision: commit, tag or branch on the hub; ignored for a local path.
        files: glob patterns of the needed files; empty means all.
    """

    model: str
    revision: str = "main"
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the model is called: its hub id, or its folder's or file's name."""
        if is_packaged(self.model):
            return package_of(self.model).model
        return Path(self.model).name if is_path(self.model) else self.model

    @property
    def is_local(self) -> bool:
        """`model` is a path or in a package, not on a hub."""
        return is_path(self.model) or is_packaged(self.model)


def is_path(model: str) -> bool:
    """Whether a `model` key is a path on this machine: absolute, `./…`, `../…` or `~/…`."""
    return model.startswith(("/", "./", "../", "~"))


def locate(weights: Weights) -> Path:
    """The folder (or file) that holds the weights; of a hub's model, at the commit of `models.lock.yaml`.

    Raises:
        ModelUnavailable: missing, or not a hub id; the message says what to do.
    """
    if is_packaged(weights.model):
        return locate_packaged(weights.model)
    if weights.is_local:
        path = Path(weights.model).expanduser()
        if not path.exists():
            raise ModelUnavailable(f"The model folder {path.name!r} does not exist on this machine.")
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    commit = locked_commit(weights.model, weights.revision)
    try:
        folder = snapshot_download(
            weights.model,
            revision=commit or weights.revision,
            allow_patterns=list(weights.files) or None,
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        raise missing(weights) from None
    except HFValidationError:
        raise ModelUnavailable(
            f"{weights.model!r} is not a hub id (owner/name). A local folder is written ./folder or /folder."
        ) from None
    return Path(folder)


def require(folder: Path, weights: Weights, names: Sequence[str]) -> None:
    """Check that single files are there: an interrupted download can leave a folder without them."""
    if any(not (folder / name).is_file() for name in names):
        raise missing(weights)


def missing(weights: Weights) -> ModelUnavailable:
    """The error that names what is missing and the command that fetches it."""
    return ModelUnavailable(
        f"The weights of {weights.model} are not on this machine. Fetch them with `make pull` for the configuration "
        "that names this model (`make pull CONFIG=serve_config.yaml`); no restart is needed."
    )
