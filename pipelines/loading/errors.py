"""What a checkpoint is reported as when it cannot be used, whichever library reads it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.contracts.errors import ModelUnavailable, SensoriumError


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Report whatever a reader raises on a damaged, incomplete or foreign checkpoint as one error.

    Readers have no common class for it: PyTorch, safetensors, transformers, diffusers and tokenizers raise classes of
    their own, nearly every built-in one, and a bare `Exception`.

    Args:
        name: what the model or file is called.

    Raises:
        ModelUnavailable: the checkpoint cannot be read.
        torch.cuda.OutOfMemoryError: the checkpoint can be read, but there is no room for it.
    """
    try:
        yield
    except SensoriumError:
        raise
    except Exception as error:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        raise unreadable(name) from error


def unreadable(name: str) -> ModelUnavailable:
    """The error of a checkpoint that is there, but is not what its name promises."""
    return ModelUnavailable(
        f"The checkpoint {name!r} is incomplete, damaged, or of a model that this engine does not support. Fetch it "
        "again with `make pull`, or choose another model."
    )


def overflowed(name: str) -> ModelUnavailable:
    """The error of a network whose numbers left the range of their format."""
    return ModelUnavailable(f"The model {name!r} overflows in this number format. Set `dtype: float32` in its block.")
