"""The page itself: how it is served, its tabs, its looks on both widths, by keyboard and to a screen reader."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.serving import ROOT, RunningGraph

TABS = {
    "chat": ("Chat", "Chat"),
    "documents": ("Documents", "Knowledge"),
    "speech-to-text": ("Speech to text", "SpeechRecognition"),
    "text-to-speech": ("Text to speech", "SpeechSynthesis"),
    "generate-image": ("Generate image", "ImageGeneration"),
    "describe-image": ("Describe image", "ImageUnderstanding"),
    "enhance-image": ("Enhance image", "SuperResolution"),
    "animate-image": ("Animate image", "VideoGeneration"),
    "track-video": ("Track video", "ObjectTracking"),
    "interpolate-video": ("Interpolate video", "FrameInterpolation"),
    "jobs": ("Jobs", None),
    "account": ("Account", None),
}
FOLDER = ROOT / "deployments" / "http" / "console"


def test_policy_lets_in_nothing_but_the_page_and_results(graph: RunningGraph, client: httpx.Client) -> None:
    for path in ("/", "/console/main.js", "/console/style.css"):
        policy = client.get(path).headers["content-security-policy"]
        directives = dict(part.split(" ", 1) for part in policy.split("; "))
        assert directives == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": f"'self' {graph.url} data: blob:",
            "media-src": f"'self' {graph.url} blob:",
            "connect-src": "'self'",
            "form-action": "'none'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }


def test_files_have_their_types_and_are_sent_once(client: httpx.Client) -> None:
    served = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(served) > 20
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for path in served:
        address = f"/console/{path.relative_to(FOLDER).as_posix()}"
        answer = client.get(address)
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"].split(";")[0] == types[path.suffix]
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = client.get(address, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/").content == (FOLDER / "index.html").read_bytes()
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["app.py", "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "", "tabs", "tabs/", "main.js/x"]
)
def test_there_is_no_way_to_other_files(client: httpx.Client, path: str) -> None:
    assert client.get(f"/console/{path}").status_code == 404


def test_nothing_in_the_sources_parses_html_or_runs_inline() -> None:
    for path in FOLDER.rglob("*.js"):
        source = path.read_text()
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("):
            assert forbidden not in source, (path.name, forbidden)
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="/console/main.js">']
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|https?://", page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_tab(open_console: Any, client: httpx.Client, width: int, scheme: str) -> None:
    page = open_console(width=width, scheme=scheme)
    capabilities = client.get("/readyz").json()["capabilities"]
    for tab, (name, capability) in TABS.items():
        page.get_by_role("tab", name=name, exact=True).click()
        assert page.url.endswith(f"#{tab}")
        panel = page.get_by_role("tabpanel", name=name, exact=True)
        expect(panel).to_be_visible()
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page).to_have_title(f"{name} – Sensorium")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        if capability:
            line = panel.locator(".capability")
            expect(line.locator(".state")).to_have_text("Ready")
            expect(line).to_contain_text(capabilities[capability]["engine"])
            expect(line).to_contain_text(capabilities[capability]["model"])
            expect(panel.locator(".curl code")).to_contain_text("curl")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 384) is (scheme == "dark")


def test_text_stands_out_from_its_ground(open_console: Any) -> None:
    """WCAG AA: 4.5 to 1 for text, in both schemes."""
    pairs = [("--ink", "--ground"), ("--ink", "--surface"), ("--muted", "--ground"), ("--muted", "--surface")]
    pairs += [("--accent", "--surface"), ("--on-accent", "--accent"), ("--accent-strong", "--accent-soft")]
    pairs += [("--bad", "--bad-soft"), ("--muted", "--bad-soft"), ("--good", "--ground"), ("--ink", "--sunken")]
    for scheme in ("light", "dark"):
        page = open_console(scheme=scheme)
        read = "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
        for front, back in pairs:
            ratio = contrast(page.evaluate(read, front), page.evaluate(read, back))
            assert ratio >= 4.5, (scheme, front, back, round(ratio, 2))
        assert contrast(page.evaluate(read, "--edge"), page.evaluate(read, "--surface")) >= 3


def contrast(first: str, second: str) -> float:
    """WCAG's contrast of two #rrggbb colors."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_tabs_by_keyboard(console: Page) -> None:
    names = [name for name, _ in TABS.values()]
    selected = console.get_by_role("tab", selected=True)
    for _ in range(6):  # past the links at the top
        console.keyboard.press("Tab")
        if console.evaluate("document.activeElement.getAttribute('role')") == "tab":
            break
    expect(selected).to_be_focused()
    expect(selected).to_have_text("Chat")
    assert console.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, wanted in [("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1), ("End", -1), ("ArrowDown", 0)]:
        console.keyboard.press(key)
        expect(selected).to_have_text(names[wanted])
        expect(selected).to_be_focused()
    console.keyboard.press("ArrowUp")
    console.keyboard.press("Home")
    console.keyboard.press("Tab")  # into the panel, not to the next tab
    assert console.evaluate("document.activeElement.closest('[role=tabpanel]').id") == "panel-chat"


def test_the_url_names_the_tab(console: Page) -> None:
    console.get_by_role("tab", name="Documents").click()
    console.get_by_role("tab", name="Jobs").click()
    console.go_back()
    expect(console.get_by_role("tab", selected=True)).to_have_text("Documents")
    console.reload()
    expect(console.get_by_role("tab", selected=True)).to_have_text("Documents")


def test_everything_that_takes_the_focus_has_a_name(console: Page) -> None:
    session = console.context.new_cdp_session(console)
    for name, _ in TABS.values():
        console.get_by_role("tab", name=name, exact=True).click()
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        nameless = []
        for node in nodes:
            properties = {it["name"]: it["value"].get("value") for it in node.get("properties", [])}
            role = node.get("role", {}).get("value")
            takes_focus = properties.get("focusable") and role not in ("RootWebArea", "generic", "StaticText")
            if takes_focus and not node.get("name", {}).get("value"):
                nameless.append(role)
        assert nameless == [], name
