"""Which device a torch model runs on, and in which number format."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.contracts.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["auto", "float32", "float16", "bfloat16"]

_share: float | None = None
_CONTEXT_BYTES = 700 << 20
"""Roughly what CUDA's context and the kernels of torch's libraries take; torch's own cap does not count them."""


def limit_memory(share: float) -> None:
    """Make `select_device` cap torch's memory at this share of the card: Ray's GPU share is only bookkeeping.

    The cap leaves room for the CUDA context. It does not apply to CTranslate2 and onnxruntime.
    """
    global _share  # noqa: PLW0603  one card, one process, one cap
    _share = share


def memory_share() -> float | None:
    """The share of the card that this process may use; `None` if nobody has said."""
    return _share


@dataclass(frozen=True)
class Placement:
    """A device and the number format of weights and activations on it."""

    device: "torch.device"
    dtype: "torch.dtype"


def select_device(device: DeviceName = "auto", dtype: DtypeName = "auto") -> Placement:
    """Choose CUDA if there is a card, in bfloat16 (float16 if the card is older); otherwise the CPU in float32.

    Raises:
        ModelUnavailable: `cuda` is requested and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ModelUnavailable("The configuration requests a CUDA device, but this machine has none.")
    chosen = torch.device("cuda" if available and device != "cpu" else "cpu")
    if chosen.type == "cuda" and _share is not None:
        whole = torch.cuda.get_device_properties(chosen).total_memory
        torch.cuda.set_per_process_memory_fraction(max(_share - _CONTEXT_BYTES / whole, 0.001))
    if dtype != "auto":
        return Placement(chosen, getattr(torch, dtype))
    if chosen.type == "cpu":
        return Placement(chosen, torch.float32)
    return Placement(chosen, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


def select_image_device(device: DeviceName, dtype: DtypeName) -> Placement:
    """As `select_device`, but half precision is float16: bfloat16's 8 bits are too few for the tones of an image."""
    chosen = select_device(device, dtype)
    return select_device(device, "float16") if dtype == "auto" and chosen.device.type == "cuda" else chosen
