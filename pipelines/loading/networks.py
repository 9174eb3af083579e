"""Networks whose architecture is written here: find the checkpoint file, read its tensors, build what fits them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.device import Placement
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.weights import Weights, locate, require

if TYPE_CHECKING:
    from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound="nn.Module")


def find_file(weights: Weights, name: str) -> Path:
    """The file `name` of a folder or hub repository; the file itself if the weights are a local file.

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
        Tensors by their names in the file. If it keeps several sets, as BasicSR's files do, the one averaged over the
        training (`params_ema`) is taken, otherwise the trained one (`params`).

    Raises:
        ModelUnavailable: damaged, or not tensors alone.
    """
    import torch
    from safetensors.torch import load_file

    if isinstance(source, Path) and source.suffix == ".safetensors":
        with reading(name):
            return load_file(source)
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

    with reading(name):
        return torch.load(source, map_location="cpu", weights_only=True)


def build_network(
    make: "Callable[[Mapping[str, Tensor]], NetworkT]", tensors: "Mapping[str, Tensor]", name: str, placement: Placement
) -> NetworkT:
    """Build the network that tensors fit, with their values, ready for inference.

    Args:
        make: a network of the size that the tensors' shapes imply; raises if they are of another architecture.
        tensors: every parameter of the network and nothing else.
        name: the file's name, for the message.
        placement: device and number format.

    Raises:
        ModelUnavailable: the tensors do not fit.
    """
    import torch

    with reading(name):
        with torch.device("meta"):
            network = make(tensors)
        network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False).to(placement.device, placement.dtype)
