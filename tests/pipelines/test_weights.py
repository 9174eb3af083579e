"""Where weights are looked for, and what is said where they are not."""

from pathlib import Path

import pytest

from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.weights import Weights, locate


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    assert locate(Weights(str(tmp_path))) == tmp_path


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("/nowhere/mine", "'mine' does not exist"),
        ("someone/never-fetched", "make pull"),
        ("not a hub id", "no model of a hub"),
        ("a/b/c", "no model of a hub"),
    ],
)
def test_what_is_not_here_is_said_with_what_to_do(model: str, said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        locate(Weights(model))
