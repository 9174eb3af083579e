"""MMTracking: its configuration, its error in the main environment, and the tests that run in its own."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import ModelUnavailable
from pipelines.object_tracking import Config, MmtrackingConfig
from tests.openmmlab import built, run_tests_inside
from tests.serving import ROOT


@built
def test_in_openmmlabs_environment():
    run_tests_inside("tests/pipelines/object_tracking/inside_openmmlab.py", "tests/pipelines/media/test_video.py")


def test_configuration():
    config = TypeAdapter(Config).validate_python({"engine": "mmtracking", "checkpoint": "~/models/bytetrack.pth"})
    assert isinstance(config, MmtrackingConfig)
    assert (config.card().model, config.card().embedded, config.weights()) == ("bytetrack", False, ())
    for wrong in ({"device": "tpu"}, {"model": "bytetrack"}, {"config": None}):
        with pytest.raises(ValidationError):
            MmtrackingConfig.model_validate(wrong)


def test_the_main_environment_says_what_to_do():
    with pytest.raises(ModelUnavailable, match="make openmmlab"):
        MmtrackingConfig().load(Resources())


def test_importing_loads_no_library():
    code = "import sys, pipelines.object_tracking as t; assert t.MmtrackingConfig().card(); "
    code += "assert not {'cv2', 'torch', 'mmcv', 'mmtrack'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
