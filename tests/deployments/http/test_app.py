"""Guards, errors, expiry and what is imported: the ASGI application by itself, without replicas behind it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.commands.run import _refusal
from deployments.http import errors
from deployments.http.network import is_loopback
from deployments.settings import Settings
from pipelines.contracts import errors as pipeline_errors
from tests.asgi import KEYED, app, client
from tests.media import png

MODEL_LIBRARIES = {
    "torch",
    "transformers",
    "diffusers",
    "sentence_transformers",
    "faster_whisper",
    "onnxruntime",
    "av",
    "cv2",
    "skimage",
    "scipy",
    "PIL",
    "supervision",
    "trackers",
    "lancedb",
    "espeakng_loader",
    "pypdfium2",
    "docx",
}


async def test_keys_guard_every_route_but_health_and_signed_files(tmp_path: Path) -> None:
    application, services = app(tmp_path, **KEYED)
    await services.store.put_bytes("sam/abcdefgh240301172715.png", b"png", "image/png")
    url = await services.store.sign("sam/abcdefgh240301172715.png")
    async with client(application) as http:
        for path in ("/v1/models", "/docs", "/openapi.json", "/static/video/x.mp4", "/uploadFile/learningFiles"):
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic first"}):
                answer = await http.get(path, headers=header)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
        for key in ("first", "second"):
            assert (await http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get(url)).status_code == 200
        assert (await http.get(url.replace("signature=", "signature=0"))).status_code == 403


async def test_old_results_are_swept_while_it_runs(tmp_path: Path) -> None:
    application, services = app(tmp_path, result_ttl_s=1)
    await services.store.put_bytes("static/video/old.mp4", b"old", "video/mp4")
    async with application.router.lifespan_context(application):
        await asyncio.sleep(3)
    assert not (tmp_path / "store/static/video/old.mp4").exists()


async def test_an_unexpected_error_reveals_nothing(tmp_path: Path) -> None:
    application, services = app(tmp_path)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret /etc/path")

    services.caller.ask = broken  # type: ignore[method-assign]
    async with client(application) as http:
        answer = await http.post("/v1/embeddings", json={"input": "x"})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text


def all_errors(kind: type) -> set[type]:
    return {kind} | {each for sub in kind.__subclasses__() for each in all_errors(sub)}


def test_every_error_has_a_status() -> None:
    import deployments.storage

    reported = all_errors(pipeline_errors.SensoriumError) - {
        pipeline_errors.SensoriumError,
        pipeline_errors.Cancelled,  # nobody is left to report it to
        deployments.storage.RangeNotSatisfiable,  # the route answers it, with a Content-Range
    }
    for kind in reported:
        assert any(parent in errors.STATUS for parent in kind.__mro__), kind


@pytest.mark.parametrize("kind", sorted(errors.STATUS, key=lambda kind: kind.__name__))
def test_errors_survive_the_way_between_processes(kind: type) -> None:
    import pickle

    error = kind("a message")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(back) is kind
    assert errors.describe(back) == errors.describe(error)


def test_keyless_only_on_loopback(tmp_path: Path) -> None:
    assert "SENSORIUM_API_KEYS" in _refusal("0.0.0.0", 8000, Settings(data_dir=tmp_path))  # noqa: S104
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")  # noqa: S104
    assert not is_loopback("example.com")


def imported_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    script = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_ingress_imports_no_model_library_and_no_capability() -> None:
    imported = imported_by("import deployments.http.ingress, deployments.graph")
    assert imported.isdisjoint(MODEL_LIBRARIES)
    assert {name for name in imported if name.startswith("deployments.capabilities.")} == {
        "deployments.capabilities.protocol"
    }


@pytest.mark.parametrize(
    ("statement", "used"),
    [
        (
            "from pipelines.speech_synthesis import Config; Config(engine='espeak-ng').load(Resources())",
            {"espeakng_loader"},
        ),
        ("from pipelines.super_resolution import Config; Config(engine='classical').load(Resources())", {"cv2"}),
        ("from pipelines.frame_interpolation import Config; Config(engine='optical-flow').load(Resources())", {"cv2"}),
    ],
)
def test_an_engine_loads_no_library_that_it_does_not_use(statement: str, used: set[str]) -> None:
    statement = statement.replace("Config(", "TypeAdapter(Config).validate_python(dict(")
    statement = statement.replace(").load(Resources())", ")).load(Resources())")
    imports = "from pydantic import TypeAdapter; from pipelines.contracts.engine import Resources"
    assert imported_by(f"{imports}; {statement}") & MODEL_LIBRARIES <= used


async def test_jobs_are_bounded_and_expire(tmp_path: Path) -> None:
    application, services = app(tmp_path, max_queued_jobs=1, result_ttl_s=1)
    asked = {"headers": {"Prefer": "wait=5, Respond-Async"}, "files": {"file": png(8, 8)}}
    async with client(application) as http:
        accepted = await http.post("/image/enhanceImage", **asked)
        assert accepted.status_code == 202
        refused = await http.post("/image/enhanceImage", **asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_jobs")
        assert int(refused.headers["retry-after"]) > 0
        uploads = list((tmp_path / "store" / "uploads").iterdir())
        assert len(uploads) == 1, "the refused one's is gone, the accepted one's is kept"
        claimed = await asyncio.to_thread(services.jobs.claim, ["enhance"], 30)
        assert await asyncio.to_thread(services.jobs.fail, claimed, "some_code", "Some words.")
        address = accepted.headers["location"]
        assert (await http.get(address)).json()["error"] == {"code": "some_code", "message": "Some words."}
        await asyncio.sleep(1.2)
        assert (await http.get(address)).status_code == 404
        assert (await http.get("/v1/jobs")).json()["data"] == []


async def test_an_upload_that_a_job_waits_for_is_not_swept(tmp_path: Path) -> None:
    application, _ = app(tmp_path, result_ttl_s=1)
    async with client(application) as http:
        await http.post("/image/enhanceImage", headers={"Prefer": "respond-async"}, files={"file": png(8, 8)})
    async with application.router.lifespan_context(application):
        await asyncio.sleep(3)
    assert len(list((tmp_path / "store" / "uploads").iterdir())) == 1
