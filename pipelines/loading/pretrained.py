"""Checkpoints of transformers: read from a local folder; nothing is fetched and no code of theirs is run."""

import json
from pathlib import Path
from typing import Any

from pipelines.loading.device import Placement
from pipelines.loading.errors import reading, unreadable
from pipelines.loading.weights import Weights, locate

TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
"""A tokenizer's vocabulary is in one of these; without them transformers makes an empty one, without a complaint."""


def read_model_type(weights: Weights) -> str:
    """What kind of model a checkpoint is, as transformers calls it ("blip").

    Raises:
        ModelUnavailable: missing, damaged, or not a checkpoint of transformers.
    """
    folder = locate(weights)
    with reading(weights.name):
        return str(json.loads((folder / "config.json").read_text("utf-8"))["model_type"])


def read_model(loader: Any, weights: Weights, placement: Placement, **options: Any) -> Any:
    """Read a model, ready for inference.

    Args:
        loader: a class of transformers that has `from_pretrained`, for the expected kind of model.
        weights: its folder: safetensors, or what `torch.save` wrote, of which only tensors are read.
        placement: device and number format.
        options: for `from_pretrained`.

    Raises:
        ModelUnavailable: missing, damaged, or of another kind.
    """
    model, report = _read(
        loader,
        weights,
        dtype=placement.dtype,
        use_safetensors=any(locate(weights).glob("*.safetensors")),
        output_loading_info=True,
        **options,
    )
    parameters = {name for name, _ in model.named_parameters()}
    if parameters & set(report["missing_keys"]) or report["mismatched_keys"]:
        raise unreadable(weights.name)  # transformers fills what is missing with random numbers
    return model.eval().to(placement.device)


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
    if not has_tokenizer(locate(weights)):
        raise unreadable(weights.name)
    return _read(loader, weights)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer's vocabulary."""
    return any(file.is_file() for pattern in TOKENIZERS for file in folder.glob(pattern))


def _read(loader: Any, weights: Weights, **options: Any) -> Any:
    folder = locate(weights)
    with reading(weights.name):
        return loader.from_pretrained(folder, local_files_only=True, **options)
