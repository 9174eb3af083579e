"""Which sites may call, and what pages of other sites may do with answers: the ASGI application by itself."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.http.sites import origin_of
from tests.asgi import KEYED, app, client

OWN = {"Host": "127.0.0.1:8000"}


async def answers(application: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with client(application) as http:
        return await http.request(method, path, headers={name.replace("_", "-"): it for name, it in headers.items()})


@pytest.mark.parametrize("settings", [{}, KEYED])
async def test_only_our_own_hosts(tmp_path: Path, settings: dict[str, Any]) -> None:
    application, _ = app(tmp_path, allowed_hosts="ai.example.com, gpu7", **settings)
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.0.0.1", "AI.example.com", "gpu7:8000"):
        answer = await answers(application, "/v1/models", Host=host, Authorization="Bearer first")
        assert answer.status_code == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1", "8.8.8.8", "[bad", "a@gpu8", "gpu7:port"):
        answer = await answers(application, "/v1/models", Host=host, Authorization="Bearer first")
        assert answer.status_code == 400, host
        assert (await answers(application, "/healthz", Host=host)).status_code == 200, "probes name the pod"


async def test_without_keys_only_pages_of_our_own_origin(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    for host, origin, status in (
        ("127.0.0.1:8000", "http://127.0.0.1:8000", 200),
        ("localhost:8000", "http://localhost:8000", 200),
        ("localhost:8000", "http://127.0.0.1:8000", 200),  # the public URL
        ("127.0.0.1:8000", "http://localhost:8000", 403),
        ("127.0.0.1:8000", "http://127.0.0.1:3000", 403),
        ("127.0.0.1:8000", "http://127.0.0.1", 403),
        ("127.0.0.1:8000", "https://127.0.0.1:8000", 403),
        ("127.0.0.1:8000", "https://evil.example", 403),
        ("127.0.0.1:8000", "null", 403),
    ):
        answer = await answers(application, "/v1/models", Host=host, Origin=origin)
        assert answer.status_code == status, (host, origin)
        if status == 403:
            assert answer.json()["error"]["code"] == "cross_site"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_without_keys_other_sites_may_only_link_to_pages(tmp_path: Path, site: str) -> None:
    application, services = app(tmp_path)
    await services.store.put_bytes("sam/abcdefgh240301172715.png", b"png", "image/png")
    signed = await services.store.sign("sam/abcdefgh240301172715.png")
    link = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    for path in ("/", "/docs", signed):
        assert (await answers(application, path, **link)).status_code == 200, path
        for other in ({"Sec_Fetch_Mode": "no-cors"}, {"Sec_Fetch_Dest": "iframe"}):
            assert (await answers(application, path, **{**link, **other})).status_code == 403, (path, other)
    for path in ("/v1/tts?text=hello", "/v1/models", "/static/video/x.mp4", "/openapi.json", "/nothing"):
        assert (await answers(application, path, **link)).status_code == 403, path
    assert (await answers(application, "/", "POST", **link)).status_code == 403
    spoken = (await answers(application, "/v1/tts?text=hello", Sec_Fetch_Site=site)).json()
    assert spoken == {"status": 40000000, "message": spoken["message"]}
    for own in ("same-origin", "none"):
        assert (await answers(application, "/v1/models", Sec_Fetch_Site=own)).status_code == 200


async def test_with_keys_listed_origins_may_call_from_a_browser(tmp_path: Path) -> None:
    application, _ = app(tmp_path, cors_origins="https://app.example.com", **KEYED)
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    for origin, is_allowed in (("https://app.example.com", True), ("https://evil.example", False)):
        preflight = await answers(application, "/v1/chat/completions", "OPTIONS", Origin=origin, **asks)
        assert (preflight.status_code == 200) is is_allowed
        answer = await answers(application, "/v1/models", Origin=origin, Authorization="Bearer first")
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == (origin if is_allowed else None)


async def test_every_answer_tells_other_pages_to_keep_out(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    for path, headers in (
        ("/", {}),
        ("/docs", {}),
        ("/healthz", {}),
        ("/v1/models", {}),
        ("/nothing", {}),
        ("/v1/models", {"Host": "evil.example"}),
        ("/v1/models", {"Sec_Fetch_Site": "cross-site"}),
        ("/sam/x.png", {}),
    ):
        answer = await answers(application, path, **headers)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        who = "cross-origin" if path.startswith("/sam/") else "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == who, path


async def test_nothing_is_redirected_by_the_host_header(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    for path in ("/sam/a.png/", "/v1/models/", "/healthz/", "/docs/"):
        assert (await answers(application, path)).status_code in (403, 404), path


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.example", ("http", "a.example", 80)),
        ("https://A.example:443/x", ("https", "a.example", 443)),
        ("null", None),
        ("http://a:port", None),
        ("http://[bad", None),
        ("", None),
    ],
)
def test_origins(url: str, origin: tuple[str, str, int] | None) -> None:
    assert origin_of(url) == origin
