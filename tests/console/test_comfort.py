"""Each tab used once by keyboard alone, at 200 % zoom: half as many CSS pixels on each side of a laptop's window."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import OpenConsole
from tests.console.test_page import TABS
from tests.media import mp4, png

WIDTH, HEIGHT = 640, 400
MAX_STOPS = 40


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "note.txt").write_text("The quay was built in 1912.")
    (folder / "image.png").write_bytes(png(64, 48))
    (folder / "video.mp4").write_bytes(mp4(frames=12))
    return {"speech": spoken, **{path.stem: path for path in folder.iterdir()}}


@pytest.fixture
def page(open_console: OpenConsole) -> Page:
    console = open_console(width=WIDTH)
    console.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    console.on("filechooser", lambda _: None)  # from now on: a listener set just before a key can miss its dialog
    return console


def reach(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus; what has it is always in view, and nothing is wider than the window."""
    expect(target).to_be_visible()
    for _ in range(MAX_STOPS):
        page.keyboard.press("Tab")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing scrolls sideways"
        in_view = page.evaluate(
            """() => {
                const focused = document.activeElement;
                const box = focused.getBoundingClientRect();
                const x = box.left + box.width / 2, y = Math.max(box.top, 0) + Math.min(box.height, 20) / 2;
                const top = document.elementFromPoint(x, y);
                return box.left >= 0 && box.right <= innerWidth && focused.contains(top);
            }"""
        )
        assert in_view, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("the keyboard does not reach it")


def go(page: Page, name: str) -> Locator:
    """Choose a tab by its arrow keys."""
    reach(page, page.get_by_role("tab", selected=True))
    page.keyboard.press("Home")
    for _ in range([name for name, _ in TABS.values()].index(name)):
        page.keyboard.press("ArrowDown")
    panel = page.get_by_role("tabpanel", name=name, exact=True)
    expect(panel).to_be_visible()
    return panel


def choose(page: Page, panel: Locator, path: Path) -> None:
    reach(page, panel.locator("input[type=file]"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(path)


def press(page: Page, panel: Locator, name: str) -> None:
    reach(page, panel.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def write(page: Page, panel: Locator, label: str, text: str) -> None:
    reach(page, panel.get_by_label(label))
    page.keyboard.type(text)


def test_chat(page: Page) -> None:
    panel = go(page, "Chat")
    write(page, panel, "Message", "Hello")
    page.keyboard.press("Enter")
    expect(panel.get_by_text("Hello", exact=True)).to_be_visible()
    press(page, panel, "New conversation")
    expect(panel.get_by_text("Hello", exact=True)).to_be_hidden()


def test_documents(page: Page, files: dict[str, Path]) -> None:
    panel = go(page, "Documents")
    choose(page, panel, files["note"])
    expect(panel.locator(".documents").get_by_text("note.txt")).to_be_visible()


def test_speech_to_text(page: Page, files: dict[str, Path]) -> None:
    panel = go(page, "Speech to text")
    choose(page, panel, files["speech"])
    expect(panel.locator(".result")).to_contain_text("weather")


def test_text_to_speech(page: Page) -> None:
    panel = go(page, "Text to speech")
    write(page, panel, "Text", "Good morning.")
    press(page, panel, "Speak")
    expect(panel.locator(".result audio")).to_be_visible()


def test_generate_image(page: Page) -> None:
    panel = go(page, "Generate image")
    write(page, panel, "Prompt", "a tree")
    press(page, panel, "Generate")
    expect(panel.locator(".result img").first).to_be_visible()


@pytest.mark.parametrize(
    ("tab", "file", "shown"),
    [
        ("Describe image", "image", "img"),
        ("Enhance image", "image", "img"),
        ("Animate image", "image", "video"),
        ("Track video", "video", "video"),
        ("Interpolate video", "video", "video"),
    ],
)
def test_a_file_becomes_a_result(page: Page, files: dict[str, Path], tab: str, file: str, shown: str) -> None:
    panel = go(page, tab)
    choose(page, panel, files[file])
    press(page, panel, tab.split(maxsplit=1)[0])
    expect(panel.locator(f".result {shown}").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_jobs(page: Page, files: dict[str, Path]) -> None:
    panel = go(page, "Describe image")
    choose(page, panel, files["image"])
    press(page, panel, "Describe")
    expect(panel.locator(".result img").first).to_be_visible()
    page.reload()
    jobs = go(page, "Jobs")
    reach(page, jobs.get_by_role("button", name="Open: Describe image").first)
    page.keyboard.press("Enter")
    expect(panel.locator(".result img").first).to_be_visible()
