"""Checkpoints of transformers: read from a folder that is there; nothing is fetched and no code of theirs is run."""

import pickle
from pathlib import Path
from typing import Any

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.device import Placement
from pipelines.loading.weights import Weights, locate

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""A tokenizer stands in one of these; without them transformers would make an empty one, without a complaint."""


def name_of(weights: Weights) -> str:
    """What the model is called: its hub id, or its folder's name."""
    return Path(weights.model).name if weights.is_local else weights.model


def read_model(loader: Any, weights: Weights, where: Placement) -> Any:
    """Read a model, ready to be asked.

    Args:
        loader: a class of transformers that has `from_pretrained`, for the model that is expected.
        weights: its folder: safetensors, or what `torch.save` wrote, of which tensors alone are taken.
        where: device and number format.

    Raises:
        ModelUnavailable: missing, damaged, or of another kind.
    """
    folder = locate(weights)
    model, report = _read(
        loader,
        weights,
        dtype=where.dtype,
        use_safetensors=any(folder.glob("*.safetensors")),
        output_loading_info=True,
    )
    parameters = {name for name, _ in model.named_parameters()}
    if parameters & set(report["missing_keys"]) or report["mismatched_keys"]:
        raise unreadable(weights)  # transformers fills what is missing with random numbers
    return model.eval().to(where.device)


def read_image_processor(loader: Any, weights: Weights, **options: Any) -> Any:
    """Read how images are prepared for a model.

    Args:
        loader: an image processor of transformers that works by Pillow.
        weights: the model's folder.
        options: for `from_pretrained`.

    Raises:
        ModelUnavailable: missing, damaged, or of another kind.
    """
    return _read(loader, weights, **options)


def read_tokenizer(loader: Any, weights: Weights) -> Any:
    """Read a model's tokenizer.

    Raises:
        ModelUnavailable: missing, damaged, or of another kind.
    """
    folder = locate(weights)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise unreadable(weights)
    return _read(loader, weights)


def unreadable(weights: Weights) -> ModelUnavailable:
    """The error that says that what is there cannot be used."""
    return ModelUnavailable(
        f"The weights of {name_of(weights)} cannot be read: files are missing or damaged, or they are of a kind that "
        "this engine does not know. Fetch them again with `make pull`, or choose another model."
    )


def _read(loader: Any, weights: Weights, **options: Any) -> Any:
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        return loader.from_pretrained(locate(weights), local_files_only=True, **options)
    except torch.OutOfMemoryError:
        raise
    except (
        # What transformers, tokenizers and the readers raise on folders that are incomplete or not what they say.
        *(SafetensorError, StrictDataclassError, pickle.UnpicklingError, OSError, EOFError, ImportError),
        *(RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    ) as error:
        raise unreadable(weights) from error
