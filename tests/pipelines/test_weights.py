"""Where weights are looked for, and what is reported if they are missing or cannot be read."""

from pathlib import Path

import pytest
import torch

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.errors import reading
from pipelines.loading.weights import Weights, locate


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    assert locate(Weights(str(tmp_path))) == tmp_path


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/mine", "'mine' does not exist"),
        ("someone/never-fetched", "make pull"),
        ("not a hub id", "not a hub id"),
        ("a/b/c", "not a hub id"),
    ],
)
def test_missing_weights_are_reported_with_what_to_do(model: str, message: str) -> None:
    with pytest.raises(ModelUnavailable, match=message):
        locate(Weights(model))


@pytest.mark.parametrize("raised", [OSError(), Exception("no such token"), RuntimeError()])
def test_whatever_a_reader_raises_is_one_error(raised: Exception) -> None:
    with pytest.raises(ModelUnavailable, match=r"'mine'.*damaged.*make pull"), reading("mine"):
        raise raised


@pytest.mark.parametrize("raised", [ModelUnavailable("No such voice."), torch.OutOfMemoryError()])
def test_what_a_checkpoint_is_not_to_blame_for_is_left_alone(raised: Exception) -> None:
    with pytest.raises(type(raised)) as caught, reading("mine"):
        raise raised
    assert caught.value is raised
