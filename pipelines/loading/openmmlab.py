"""What the engines of OpenMMLab's packages share: their environment, their configs and their checkpoints.

The packages (Apache-2.0, archived) want a PyTorch of 2023. They live in an environment of their own, which
`make openmmlab` builds and a capability's block chooses by `py_executable: openmmlab/python`.

A config of OpenMMLab is a Python file: reading it runs it, so trust one as you trust code. Checkpoints are never run:
they are read as plain tensors, and nothing is fetched that a config names.
"""

import tarfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.errors import unreadable
from pipelines.loading.networks import read_content
from pipelines.loading.weights import is_path

if TYPE_CHECKING:
    from torch import Tensor, nn

LICENCE = "see the checkpoint's page"
"""Of what is published for these packages, most is Apache-2.0 but trained on images for research only."""


def read_config(package: Literal["mmtrack", "mmedit"], folder: str, name: str) -> Any:
    """Run a config.

    Args:
        package: which ships the config.
        folder: of its configs.
        name: of a file in that folder, without `.py`; or the path of a file of one's own.

    Returns:
        `mmcv.Config`.

    Raises:
        ModelUnavailable: this is not OpenMMLab's environment, or there is no such config.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelUnavailable(
            "OpenMMLab's environment is not in use here. Build it with `make openmmlab`, give this block "
            "`runtime_env: {py_executable: openmmlab/python}` in its ray_actor_options, and start again."
        )
    shipped = Path(spec.origin).parent / ".mim" / "configs" / folder
    file = Path(name).expanduser() if is_path(name) else shipped / f"{name}.py"
    if not file.is_file():
        where = "on this machine" if is_path(name) else f"among {package}'s"
        raise ModelUnavailable(f"There is no config {file.stem!r} {where}.")
    from mmcv import Config

    return Config.fromfile(str(file))


def take_parts(model: Any) -> dict[str, str]:
    """Take the checkpoints out of a model's config that building it would fetch or unpickle.

    Args:
        model: the `model` of a config; changed.

    Returns:
        Those that are files, by the part that they are for, as in `{"detector": "/models/detector.pth"}`.
    """
    parts = {}
    for key, value in list(model.items()):
        if key == "pretrained" and isinstance(value, str):
            model[key] = None
        elif key == "init_cfg" and isinstance(value, Mapping) and value.get("type") == "Pretrained":
            model[key] = None
            if "://" not in value["checkpoint"]:
                parts[""] = value["checkpoint"]
        elif isinstance(value, Mapping):
            parts.update({f"{key}.{part}".rstrip("."): file for part, file in take_parts(value).items()})
    return parts


def fill(model: "nn.Module", parts: Mapping[str, str]) -> tuple[str, ...]:
    """Load checkpoints as OpenMMLab's tools write them.

    Args:
        model: as built from its config.
        parts: files by the part of the model that they are for; `""` is all of it.

    Returns:
        The names of the classes, where a checkpoint tells them.

    Raises:
        ModelUnavailable: a file is not there, damaged, more than tensors and plain values, or of another model; or
            the model has parameters that are in none of them.
    """
    lacking = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    classes: tuple[str, ...] = ()
    for part, file in parts.items():
        tensors, told = _read(Path(file).expanduser())
        try:
            model.get_submodule(part).load_state_dict(tensors, strict=False)
        except (RuntimeError, AttributeError):  # PyTorch's for shapes that differ, and for a part that is not there
            raise unreadable(Path(file).name) from None
        lacking -= {f"{part}.{name}".lstrip(".") for name in tensors}
        classes = told or classes
    if lacking:
        named = ", ".join(repr(Path(file).name) for file in parts.values()) or "no checkpoint"
        raise ModelUnavailable(
            f"{len(lacking)} parameters of the model are in no checkpoint, {min(lacking)!r} among them; "
            f"the configuration names {named}."
        )
    return classes


def _read(file: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """Tensors by their names, and the names of the classes."""
    import torch

    if not file.is_file():
        raise ModelUnavailable(f"The checkpoint {file.name!r} is not on this machine.")
    if tarfile.is_tarfile(file):  # PyTorch before 2.6 runs the pickle in such a file unseen (CVE-2025-32434)
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
