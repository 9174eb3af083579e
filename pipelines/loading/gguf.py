"""GGUF files, which hold a language model with its tokenizer in one file, as a folder that transformers reads quickly.

Reading GGUF takes transformers half a minute, and what it gives cannot be saved. So the values are copied once into a
model of the same architecture, which is kept as safetensors in bfloat16. Library: gguf (MIT).
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pipelines.loading.errors import reading
from pipelines.loading.weights import Weights, locate


def without_gguf(weights: Weights, data_dir: Path | None) -> Weights:
    """The same weights, as a folder of safetensors if they are a GGUF file.

    Args:
        weights: a GGUF file, or anything else.
        data_dir: where the folder is kept; `None`: with temporary files.

    Raises:
        ModelUnavailable: missing, damaged, or of an architecture that transformers does not know.
    """
    place = locate(weights)
    if place.suffix != ".gguf":
        return weights
    return Weights(str(unpacked(place, (data_dir or Path(tempfile.gettempdir())) / "models")))


def unpacked(file: Path, home: Path) -> Path:
    """The folder with what a GGUF file holds, made at the first call.

    Args:
        file: its name ends in `.gguf`.
        home: where the folder is kept; the file's checksum is part of its name.

    Raises:
        ModelUnavailable: damaged, or of an architecture that transformers does not know.
    """
    with file.open("rb") as opened:
        checksum = hashlib.file_digest(opened, "sha256").hexdigest()
    folder = home / f"{file.stem}-{checksum[:16]}"
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{file.stem}-", dir=home))
    try:
        with reading(file.name):
            _unpack(file, draft)
        try:
            os.rename(draft, folder)
        except OSError:  # another process was quicker
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _unpack(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    source: Any = {"gguf_file": file.name, "local_files_only": True}
    packed: Any = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.bfloat16, **source)
    del packed.config.quantization_config
    model = AutoModelForCausalLM.from_config(packed.config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    model.load_state_dict(packed.state_dict())
    model.generation_config = packed.generation_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, **source).save_pretrained(folder)
