"""MMEditing: its configuration, its error in the main environment, and the tests that run in its own."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.frame_interpolation import Config, MmeditingConfig
from tests.openmmlab import built, run_tests_inside
from tests.serving import ROOT


@built
def test_in_openmmlabs_environment():
    run_tests_inside("tests/pipelines/frame_interpolation/inside_openmmlab.py")


def test_configuration():
    config = TypeAdapter(Config).validate_python({"engine": "mmediting", "checkpoint": "/models/cain_1.pth"})
    assert isinstance(config, MmeditingConfig)
    assert (config.card().model, config.card().embedded, config.weights()) == ("cain_1", False, ())
    for wrong in ({"device": "tpu"}, {"model": "cain"}, {"config": 3}):
        with pytest.raises(ValidationError):
            MmeditingConfig.model_validate(wrong)


def test_the_main_environment_says_what_to_do():
    with pytest.raises(ModelUnavailable, match="make openmmlab"):
        MmeditingConfig().load(Resources())


def test_importing_loads_no_library():
    code = "import sys, pipelines.frame_interpolation as f; assert f.MmeditingConfig().card(); "
    code += "assert not {'cv2', 'torch', 'mmcv', 'mmedit'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
