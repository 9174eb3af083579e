"""A real browser before the real graph. Every page is watched: its complaints, and the hosts that it calls."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.serving import RunningGraph

WITHIN_MS = 60_000
SPOKEN = "the weather is fine today"

OpenConsole = Callable[..., Page]


@pytest.fixture(scope="module")
def spoken(graph: RunningGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech as a WAV file."""
    path = tmp_path_factory.mktemp("speech") / "spoken.wav"
    body = {"input": SPOKEN, "response_format": "wav"}
    path.write_bytes(httpx.post(f"{graph.url}/v1/audio/speech", json=body, timeout=60).raise_for_status().content)
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Callable[..., Browser]]:
    """Debian's Chromium; ended with the module, as asynchronous tests cannot run beside Playwright's own loop."""
    path = shutil.which("chromium")
    assert path, "these tests need Chromium: apt-get install chromium"
    expect.set_options(timeout=WITHIN_MS)
    with sync_playwright() as playwright:
        yield lambda *args: playwright.chromium.launch(executable_path=path, args=args)


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Browser]) -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Watch:
    """The complaints of one page, and the hosts that it called."""

    def __init__(self, page: Page, url: str) -> None:
        self.expected_statuses: set[int] = set()
        self._own = urlsplit(url).netloc
        self._complaints: list[str] = []
        self._statuses: list[int] = []
        self._strangers: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._complaints.append(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("response", lambda response: self._statuses.append(response.status))

    def _console(self, message: ConsoleMessage) -> None:
        # the browser's own note of an error status; those that a test does not expect are complained of below
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._complaints.append(message.text)

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self._own:
            self._strangers.append(request.url)

    def check(self) -> None:
        assert self._complaints == []
        assert self._strangers == []
        assert {status for status in self._statuses if status >= 400} <= self.expected_statuses


@pytest.fixture
def open_console(request: pytest.FixtureRequest) -> Iterator[OpenConsole]:
    """Open the console on a tab, in a browser profile of its own; what the page did is checked when the test ends."""
    opened: list[tuple[Page, Watch]] = []

    def open_page(
        tab: str = "", *, width: int = 1280, scheme: str = "light", url: str = "", browser: Browser | None = None
    ) -> Page:
        url = url or request.getfixturevalue("graph").url
        context = (browser or request.getfixturevalue("browser")).new_context(
            viewport={"width": width, "height": 820}, color_scheme=scheme, accept_downloads=True, locale="en-GB"
        )
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.watch = Watch(page, url)
        opened.append((page, page.watch))
        page.goto(f"{url}/#{tab}")
        return page

    yield open_page
    for page, watch in opened:
        page.context.close()
        watch.check()


@pytest.fixture
def console(open_console: OpenConsole) -> Page:
    """The console on a desktop."""
    return open_console()
