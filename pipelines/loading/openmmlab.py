"""What the engines of OpenMMLab's packages share: their environment, their configs and their checkpoints.

The packages (Apache-2.0, archived) need a PyTorch of 2023. They live in a separate environment, which
`make openmmlab` builds and a capability's block chooses by `py_executable: openmmlab/python`.

A config of OpenMMLab is a Python file: reading it runs it, so trust one as you trust code. Checkpoints are never run:
they are read as plain tensors, and nothing is fetched that a config names.
"""

import tarfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.contracts.engine import EngineConfig
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.device import DeviceName
from pipelines.loading.errors import unreadable
from pipelines.loading.networks import read_content
from pipelines.loading.weights import is_path

if TYPE_CHECKING:
    from torch import Tensor, nn

LICENSE = "see the checkpoint's page"
"""Most published checkpoints are Apache-2.0, but trained on images that are for research only."""


class OpenMMLabConfig(EngineConfig):
    """A model of OpenMMLab's. The block must also name `py_executable: openmmlab/python`.

    A subclass gives `config` its default.
    """

    config: str
    """One of the package's own, without `.py`, or the path of a file. It is run: trust it as you trust code."""
    checkpoint: str | None = None
    """The file with the model's weights. `None` if the config names files for all of its parts (`init_cfg`)."""
    device: DeviceName = "auto"
    """`auto` takes a GPU if there is one."""

    @property
    def name(self) -> str:
        """What the model is called: its checkpoint's name or, without one, its config's."""
        return Path(self.checkpoint or self.config).stem


def read_config(package: Literal["mmtrack", "mmedit"], folder: str, name: str) -> Any:
    """Run a config.

    Args:
        package: which ships the config.
        folder: of its configs.
        name: of a file in that folder, without `.py`; or the path of any file.

    Returns:
        `mmcv.Config`.

    Raises:
        ModelUnavailable: this is not OpenMMLab's environment, or there is no such config.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelUnavailable(
            "OpenMMLab's environment is not in use. Build it with `make openmmlab`, give this block "
            "`runtime_env: {py_executable: openmmlab/python}` in its ray_actor_options, and start again."
        )
    shipped = Path(spec.origin).parent / ".mim" / "configs" / folder
    file = Path(name).expanduser() if is_path(name) else shipped / f"{name}.py"
    if not file.is_file():
        where = "on this machine" if is_path(name) else f"among {package}'s"
        raise ModelUnavailable(f"There is no config {file.stem!r} {where}.")
    from mmcv import Config

    return Config.fromfile(str(file))


def require_kind(settings: Any, registry: Any, kind: type, task: str) -> None:
    """Check that a config's model is of a kind.

    Args:
        settings: as read.
        registry: the package's models by name.
        kind: the base class of what is wanted.
        task: what such models are for.

    Raises:
        ModelUnavailable: it is not.
    """
    found = registry.get(settings.get("model", {}).get("type", ""))
    if found is None or not issubclass(found, kind):
        raise ModelUnavailable(f"The config is not one for {task}.")


def build_model(settings: Any, init_model: Callable[..., Any], checkpoint: str | None) -> "tuple[Any, tuple[str, ...]]":
    """Build a config's model on the CPU, without fetching or unpickling anything that the config names.

    Args:
        settings: as read; changed.
        init_model: the package's own.
        checkpoint: as OpenMMLab's tools write them, for the whole model.

    Returns:
        The model and the names of its classes, if a checkpoint states them.

    Raises:
        ModelUnavailable: a file is missing, damaged, more than tensors and plain values, or of another model; or
            the model has parameters that are in none of them.
    """
    files = _take_checkpoints(settings.model)
    if checkpoint is not None:
        files[""] = checkpoint
    model = init_model(settings, device="cpu")
    return model, _fill(model, files)


def _take_checkpoints(model: Any) -> dict[str, str]:
    """Remove the checkpoints from a model's config; return local ones by the part of the model that they are for."""
    files = {}
    for key, value in list(model.items()):
        if key == "pretrained" and isinstance(value, str):
            model[key] = None
        elif key == "init_cfg" and isinstance(value, Mapping) and value.get("type") == "Pretrained":
            model[key] = None
            if "://" not in value["checkpoint"]:
                files[""] = value["checkpoint"]
        elif isinstance(value, Mapping):
            files.update({f"{key}.{part}".rstrip("."): file for part, file in _take_checkpoints(value).items()})
    return files


def _fill(model: "nn.Module", files: Mapping[str, str]) -> tuple[str, ...]:
    """Load checkpoints by the part that they are for, `""` being the whole model; return the names of the classes."""
    missing = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    classes: tuple[str, ...] = ()
    for part, file in files.items():
        tensors, stated = _read(Path(file).expanduser())
        try:
            model.get_submodule(part).load_state_dict(tensors, strict=False)
        except (RuntimeError, AttributeError):  # PyTorch's for different shapes, and for a missing part
            raise unreadable(Path(file).name) from None
        missing -= {f"{part}.{name}".lstrip(".") for name in tensors}
        classes = stated or classes
    if missing:
        named = ", ".join(repr(Path(file).name) for file in files.values()) or "no checkpoint"
        raise ModelUnavailable(
            f"{len(missing)} parameters of the model are in no checkpoint, {min(missing)!r} among them; "
            f"the configuration names {named}."
        )
    return classes


def _read(file: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """Tensors by their names, and the names of the classes."""
    import torch

    if not file.is_file():
        raise ModelUnavailable(f"The checkpoint {file.name!r} is not on this machine.")
    if tarfile.is_tarfile(file):  # PyTorch before 2.6 runs the pickle in such a file unchecked (CVE-2025-32434)
        raise unreadable(file.name)
    content = read_content(file, file.name)
    if not isinstance(content, dict):
        raise unreadable(file.name)
    tensors, meta = content.get("state_dict", content), content.get("meta")
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise unreadable(file.name)
    classes = meta.get("CLASSES") if isinstance(meta, dict) else None
    return (
        {str(name).removeprefix("module."): value for name, value in tensors.items()},
        tuple(map(str, classes)) if isinstance(classes, tuple | list) else (),
    )
