"""Keys and refusals: the application in this process, its record of jobs real and its worker this test."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from deployments.http.services import Services
from deployments.jobs.table import JobTable
from deployments.principals.principal import CAPABILITIES, Limits
from tests.asgi import KEYED, app
from tests.console.conftest import OpenConsole
from tests.media import mp4, png
from tests.serving import free_port

LEASE_S = 60


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Playwright has a loop of its own in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[tuple[str, Services, JobTable]]:
    """The application on a port, without capabilities behind it."""
    application, services = app(folder, **settings)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}", services, JobTable(services.settings.jobs_url)
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "street.mp4"
    path.write_bytes(mp4())
    return path


def submit_video(page: Page, video: Path) -> Any:
    panel = page.get_by_role("tabpanel", name="Track video")
    panel.locator("input[type=file]").set_input_files(video)
    panel.get_by_role("button", name="Track", exact=True).click()
    return panel


def test_a_key_signs_in_once_and_opens_results(open_console: OpenConsole, tmp_path: Path, video: Path) -> None:
    with serving(tmp_path, **KEYED) as (url, services, jobs):
        page = open_console("track-video", url=url)
        page.watch.expected_statuses = {401}
        panel = submit_video(page, video)
        dialog = page.get_by_role("dialog", name="Sign in")
        expect(dialog).to_contain_text("This server requires an API key.")
        dialog.get_by_label("Key").fill("wrong")
        dialog.get_by_label("Key").press("Enter")
        expect(dialog).to_contain_text("The server does not accept this key.")
        dialog.get_by_role("button", name="Cancel").click()
        expect(panel.get_by_role("alert")).to_contain_text("This server requires an API key")
        panel.get_by_role("button", name="Try again").click()
        dialog.get_by_label("Key").fill("second")
        dialog.get_by_role("button", name="Sign in").click()
        expect(panel.get_by_role("progressbar")).to_be_visible()
        expect(panel.locator(".job-card strong")).to_have_text("Queued")

        job = jobs.claim(["track"], LEASE_S)
        assert job is not None
        jobs.mark_running(job, "classical", "classical")
        jobs.renew(job, LEASE_S, 0.42, "tracking")
        expect(panel.locator(".percent")).to_have_text("42 %")
        expect(panel.locator(".job-card strong")).to_have_text("Tracking")
        page.reload()
        expect(panel.locator(".percent")).to_have_text("42 %")
        expect(dialog).to_be_hidden()

        run(services.store.put_bytes("static/video/a.mp4", video.read_bytes(), "video/mp4"))
        run(services.store.put_bytes("static/video/a.txt", b"1,1,2,3,4,5,1,-1,-1,-1\n", "text/plain"))
        counts = {"<b>car</b>": 3}
        jobs.succeed(job, json.dumps({"video": "static/video/a.mp4", "tracks": "static/video/a.txt", "counts": counts}))
        videos = panel.locator(".pair video")
        expect(videos).to_have_count(2)
        assert videos.nth(1).get_attribute("src") == "/static/video/a.mp4"
        expect(videos.nth(1)).to_have_js_property("readyState", 4)
        expect(panel.locator(".counts dt")).to_have_text("<b>car</b>")
        expect(panel.locator(".curl code")).to_contain_text('"Authorization: Bearer $SENSORIUM_API_KEY"')
        with page.expect_download() as coming:
            panel.get_by_role("link", name="Tracks as text").click()
        assert Path(coming.value.path()).read_text().startswith("1,1,2")

        assert "second" not in page.evaluate("JSON.stringify(localStorage) + document.cookie"), "no script sees it"
        page.goto(f"{url}/docs")
        expect(page.get_by_text("/v1/chat/completions").first).to_be_visible()
        page.goto(f"{url}/#account")
        expect(page.locator("#account-link")).to_have_text("default")
        page.get_by_role("button", name="Sign out").click()
        expect(dialog).to_contain_text("This server requires an API key.")


def test_an_administrator_adds_revokes_and_rotates_keys(open_console: OpenConsole, tmp_path: Path) -> None:
    with serving(tmp_path, **KEYED) as (url, services, _):
        page = open_console("account", url=url)
        page.watch.expected_statuses = {400, 401}
        dialog = page.get_by_role("dialog", name="Sign in")
        dialog.get_by_label("Key").fill("first")
        dialog.get_by_role("button", name="Sign in").click()
        panel = page.get_by_role("tabpanel", name="Account")
        expect(panel.locator(".who")).to_have_text("You are default.")
        expect(panel.locator(".usage tbody tr").first).to_contain_text("default")
        for scopes in ("everything", "chat, knowledge"):
            panel.get_by_label("Name").fill("alice")
            panel.get_by_label("Scopes").fill(scopes)
            panel.get_by_label("Requests a minute").fill("60")
            panel.get_by_role("button", name="Add key").click()
            if scopes == "everything":
                expect(panel.get_by_role("alert")).to_contain_text("No such scope: everything")
        shown = panel.locator(".new-key code")
        expect(shown).to_have_text(re.compile("^sk-"))
        first = shown.text_content()
        [alice] = services.principals.list()
        assert (alice.scopes, alice.limits.requests_per_minute) == ({"chat", "knowledge"}, 60)
        panel.get_by_role("button", name="New key: alice").click()
        expect(shown).not_to_have_text(first)
        panel.get_by_role("button", name="Revoke: alice").click()
        expect(panel.locator(".key-list tbody tr")).to_contain_text("revoked")
        assert services.principals.list()[0].revoked


def test_a_person_without_admin_sees_only_their_own(open_console: OpenConsole, tmp_path: Path) -> None:
    with serving(tmp_path) as (url, services, _):
        _, key = services.principals.add("alice", CAPABILITIES, Limits())
        services.registry.read()
        page = open_console("account", url=url)
        page.watch.expected_statuses = {401}
        dialog = page.get_by_role("dialog", name="Sign in")
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_label("Key").press("Enter")
        panel = page.get_by_role("tabpanel", name="Account")
        expect(panel.locator(".who")).to_have_text("You are alice.")
        expect(panel.locator(".usage tbody tr")).to_have_count(1)
        expect(panel.locator(".keys")).to_be_hidden()


def test_too_many_jobs_name_the_time_to_wait(open_console: OpenConsole, tmp_path: Path, video: Path) -> None:
    with serving(tmp_path, max_queued_jobs=1) as (url, _, jobs):
        page = open_console("track-video", url=url)
        page.watch.expected_statuses = {429}
        panel = submit_video(page, video)
        expect(panel.locator(".job-card strong")).to_have_text("Queued")
        panel.get_by_role("button", name="Track", exact=True).click()
        alert = panel.get_by_role("alert")
        expect(alert).to_contain_text("Too many jobs are queued")
        again = alert.get_by_role("button")
        expect(again).to_be_disabled()
        expect(again).to_contain_text("Try again in 2")
        assert len(jobs.list_recent(10, None, 0)) == 1


FAILURES = {
    "unusable_media": "This file cannot be used",
    "model_unavailable": "model is not installed",
    "something_new": "Something went wrong on the server",
}


def test_failed_jobs_are_explained(open_console: OpenConsole, tmp_path: Path, video: Path) -> None:
    with serving(tmp_path) as (url, _, jobs):
        page = open_console("track-video", url=url)
        for code, title in FAILURES.items():
            panel = submit_video(page, video)
            expect(panel.locator(".job-card strong")).to_have_text("Queued")
            job = jobs.claim(["track"], LEASE_S)
            assert job is not None
            jobs.mark_running(job, "classical", "classical")
            jobs.fail(job, code, "Words of the <i>server</i>.")
            expect(panel.get_by_role("alert")).to_contain_text(title)
            expect(panel.get_by_role("alert")).to_contain_text("Words of the <i>server</i>.")
        page.get_by_role("tab", name="Jobs").click()
        expect(page.locator(".job-row .reason")).to_have_text(["Words of the <i>server</i>."] * 3)


def test_what_is_too_large_is_reported(open_console: OpenConsole, tmp_path: Path) -> None:
    with serving(tmp_path, max_image_bytes=100_000) as (url, _, _jobs):
        page = open_console("enhance-image", url=url)
        page.watch.expected_statuses = {413}
        (tmp_path / "large.png").write_bytes(png() + bytes(8_000_000))
        panel = page.get_by_role("tabpanel", name="Enhance image")
        panel.locator("input[type=file]").set_input_files(tmp_path / "large.png")
        panel.get_by_role("button", name="Enhance", exact=True).click()
        expect(panel.get_by_role("alert")).to_contain_text("This is too large")
        expect(panel.get_by_role("alert")).to_contain_text("100,000-byte limit")
