"""Networks whose architecture is written here: find their checkpoint file, read its tensors, make what fits them."""

import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.device import DeviceName, DtypeName, Placement, select_device
from pipelines.loading.weights import Weights, locate, require

if TYPE_CHECKING:
    from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound="nn.Module")

DAMAGED = (
    *(pickle.UnpicklingError, struct.error, EOFError, OSError, MemoryError),
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError, ArithmeticError),
)
"""What a damaged file makes PyTorch's reader and its unpickler raise; they have no class of their own for it."""


def find_file(weights: Weights, name: str) -> Path:
    """The file `name` of a folder or hub repository; the file itself where the weights are a local file.

    Raises:
        ModelUnavailable: not there.
    """
    found = locate(weights)
    if found.is_file():
        return found
    if weights.is_local and not (found / name).is_file():
        raise ModelUnavailable(f"The model folder {found.name!r} holds no file named {name!r}.")
    require(found, weights, [name])
    return found / name


def read_tensors(source: Path | IO[bytes], name: str) -> "dict[str, Tensor]":
    """Read all tensors of a checkpoint, onto the CPU; no code in it is run.

    Args:
        source: a `.safetensors` file, or one that `torch.save` wrote (either of its formats), as a path or opened.
        name: the file's name, for the message.

    Returns:
        Tensors by their names, as they stand in the file. Where it keeps several sets, as those of BasicSR do, the set
        averaged over the training (`params_ema`) is taken, else the trained one (`params`).

    Raises:
        ModelUnavailable: damaged, or something else than tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if isinstance(source, Path) and source.suffix == ".safetensors":
        try:
            return load_file(source)
        except (SafetensorError, *DAMAGED):
            raise unreadable(name) from None
    content = read_content(source, name)
    if isinstance(content, dict):
        content = content.get("params_ema", content.get("params", content))
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise unreadable(name)
    return {str(key): value for key, value in content.items()}


def read_content(source: Path | IO[bytes], name: str) -> Any:
    """Read what `torch.save` wrote, onto the CPU: tensors and plain values. No code in it is run.

    Args:
        source: the file, as a path or opened; either of PyTorch's formats.
        name: the file's name, for the message.

    Raises:
        ModelUnavailable: damaged, or with other objects in it.
    """
    import torch

    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except DAMAGED:
        raise unreadable(name) from None


def build_network(
    make: "Callable[[Mapping[str, Tensor]], NetworkT]", tensors: "Mapping[str, Tensor]", name: str, where: Placement
) -> NetworkT:
    """Make the network that tensors fit, with their values, ready to be asked.

    Args:
        make: from a checkpoint's tensors a network of the size that their shapes tell; it raises `LookupError`
            or `ValueError` where they are of another architecture.
        tensors: every parameter of the network and nothing else.
        name: the file's name, for the message.
        where: device and number format.

    Raises:
        ModelUnavailable: the tensors do not fit.
    """
    import torch

    try:
        with torch.device("meta"):
            network = make(tensors)
        network.load_state_dict(tensors, assign=True)
    except (LookupError, ValueError, RuntimeError):  # the last is PyTorch's for names and shapes that do not match
        raise unreadable(name) from None
    return network.eval().requires_grad_(False).to(where.device, where.dtype)


def select_image_device(device: DeviceName, dtype: DtypeName) -> Placement:
    """As `select_device`, but half precision is float16: bfloat16's 8 bits are too few for the steps of an image."""
    chosen = select_device(device, dtype)
    return select_device(device, "float16") if dtype == "auto" and chosen.device.type == "cuda" else chosen


def unreadable(name: str) -> ModelUnavailable:
    """The error that says that a file is there, but not what its name promises."""
    return ModelUnavailable(f"The checkpoint {name!r} is damaged, or of a model that this engine does not know.")


def overflowed(name: str) -> ModelUnavailable:
    """The error that says that a network's numbers left the range of their format."""
    return ModelUnavailable(f"The numbers of the model {name!r} overflow here; set `dtype: float32` in its block.")
