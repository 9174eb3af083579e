"""Modules of transformers that name torchvision, which is not installed: for what in them does without it."""

import importlib
import sys
from types import ModuleType

import pytest


def imported(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of transformers, imported with an empty torchvision; gone again with `monkeypatch`."""
    import transformers.image_processing_backends  # noqa: F401  finds out that there is no torchvision

    modules = ("transforms", "transforms.v2", "transforms.v2.functional", "ops", "ops.boxes")
    for each in ("torchvision", *(f"torchvision.{module}" for module in modules)):
        monkeypatch.setitem(sys.modules, each, ModuleType(each))
    monkeypatch.setattr(sys.modules["torchvision.transforms.v2"], "functional", None, raising=False)
    monkeypatch.setattr(sys.modules["torchvision.ops.boxes"], "batched_nms", None, raising=False)
    module = importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)
    return module
