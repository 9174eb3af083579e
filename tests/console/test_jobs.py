"""Images and videos as jobs in the browser: progress, cancel, reload, results, the list of all."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import OpenConsole
from tests.media import mp4, png, probe
from tests.serving import RunningGraph

HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media")
    Image.fromarray(skimage.data.astronaut()).resize((160, 160)).save(path / "photo.png")
    (path / "short.mp4").write_bytes(mp4(frames=24))
    (path / "long.mp4").write_bytes(mp4(frames=720, fps=12))  # a minute
    return path


def go(page: Page, name: str) -> Locator:
    page.get_by_role("tab", name=name, exact=True).click()
    return page.get_by_role("tabpanel", name=name, exact=True)


def choose(panel: Locator, path: Path, button: str) -> None:
    panel.locator("input[type=file]").set_input_files(path)
    panel.get_by_role("button", name=button, exact=True).click()


def natural_size(image: Locator) -> tuple[int, int]:
    expect(image).to_have_js_property("complete", True)
    width, height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return width, height


def is_playable(video: Locator) -> None:
    """The browser has read what a player needs, and plays it to the end."""
    expect(video).to_have_js_property("error", None)
    video.evaluate("video => { video.muted = true; video.playbackRate = 8; return video.play(); }")
    expect(video).to_have_js_property("ended", True)


def progress_of(panel: Locator) -> int:
    return int(panel.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)


def test_images_from_a_prompt(console: Page) -> None:
    panel = go(console, "Generate image")
    panel.get_by_label("Prompt").fill("a red car under the sun")
    panel.get_by_label("Size").select_option("512x512")
    panel.get_by_label("Images").fill("2")
    panel.get_by_label("Seed").fill("7")
    panel.get_by_role("button", name="Generate").click()
    expect(panel.locator(".gallery img")).to_have_count(2)
    for index in range(2):
        assert natural_size(panel.locator(".gallery img").nth(index)) == (512, 512)
    console.reload()
    expect(panel.locator(".gallery img")).to_have_count(2)
    assert natural_size(panel.locator(".gallery img").first) == (512, 512)


def test_an_image_is_described_beside_its_segments(console: Page, tmp_path: Path) -> None:
    (tmp_path / HOSTILE).write_bytes(png())
    panel = go(console, "Describe image")
    choose(panel, tmp_path / HOSTILE, "Describe")
    expect(panel.locator(".chosen b")).to_have_text(HOSTILE)
    expect(panel.locator(".caption")).to_have_text(re.compile(r"\w+ \w+"))
    expect(panel.locator(".classes")).to_have_text(re.compile(r"Classes\w+"))
    pair = panel.locator(".pair img")
    expect(pair).to_have_count(2)
    assert natural_size(pair.nth(0)) == natural_size(pair.nth(1)) == (320, 240)
    assert panel.locator("img").count() == 3  # the one that was chosen, and the pair


def test_an_enhanced_image_is_compared_by_keyboard(console: Page, folder: Path) -> None:
    panel = go(console, "Enhance image")
    choose(panel, folder / "photo.png", "Enhance")
    slider = panel.get_by_role("slider")
    expect(panel.locator("figcaption")).to_contain_text("160 × 160 px → 640 × 640 px")
    before, after = panel.locator(".compare img").nth(1), panel.locator(".compare img").nth(0)
    boxes = [image.bounding_box() for image in (before, after)]
    assert boxes[0] == boxes[1]
    slider.focus()
    slider.press("End")
    assert before.evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0% 0px 0px)"
    slider.press("Home")
    slider.press("ArrowRight")
    assert panel.locator(".compare").evaluate("box => box.style.getPropertyValue('--shown')") == "1%"
    console.reload()
    expect(panel.locator("figcaption")).to_contain_text("160 × 160 px → 640 × 640 px")


def test_an_image_becomes_a_video(console: Page, folder: Path) -> None:
    panel = go(console, "Animate image")
    panel.get_by_label("Frames", exact=True).fill("6")
    panel.get_by_label("Frames per second").fill("6")
    choose(panel, folder / "photo.png", "Animate")
    video = panel.locator(".result video")
    is_playable(video)
    assert video.evaluate("video => video.duration") == pytest.approx(1, abs=0.2)


def test_a_prompt_reaches_the_server_from_the_form_and_from_its_command(
    console: Page, folder: Path, graph: RunningGraph
) -> None:
    panel = go(console, "Animate image")
    panel.get_by_label("Prompt").fill("@it's $(id); raining")
    choose(panel, folder / "photo.png", "Animate")
    expect(panel.get_by_role("alert")).to_contain_text("does not follow a prompt")
    panel.get_by_text("The same with curl").click()
    command = panel.locator(".curl code").inner_text()
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, timeout=60, check=True)
    events = httpx.get(f"{graph.url}/v1/jobs/{json.loads(done.stdout)['id']}/events", timeout=60).text
    assert "unsupported_by_engine" in events


def test_a_minute_of_video_is_watched_cancelled_sent_again_reloaded_and_played(console: Page, folder: Path) -> None:
    panel = go(console, "Track video")
    choose(panel, folder / "long.mp4", "Track")
    expect(panel.locator(".percent")).to_have_text(re.compile(r"[1-9]\d? %"))
    expect(panel.locator(".left")).to_have_text(re.compile(r"about \d+ (s|min \d+ s) left"))
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.locator(".ended")).to_have_text("Cancelled.")

    panel.get_by_role("button", name="Track").click()
    expect(panel).not_to_contain_text("Uploading")
    expect(panel.locator(".percent")).to_have_text(re.compile(r"[2-9]\d %"))
    seen = progress_of(panel)
    console.reload()
    expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
    assert progress_of(panel) >= seen
    expect(panel.locator(".pair video")).to_have_count(2, timeout=240_000)
    for video in panel.locator(".pair video").all():
        expect(video).to_have_js_property("error", None)
        assert video.evaluate("video => video.duration") == pytest.approx(60, abs=0.5)
    with console.expect_download() as coming:
        panel.get_by_role("link", name="Tracks as text").click()
    assert re.match(r"\d+,\d+,", Path(coming.value.path()).read_text())
    expect(panel.locator(".counts")).to_be_visible()


def test_a_video_is_made_smoother(console: Page, folder: Path, graph: RunningGraph) -> None:
    panel = go(console, "Interpolate video")
    panel.get_by_label("Frames per second").fill("24")
    choose(panel, folder / "short.mp4", "Interpolate")
    is_playable(panel.locator(".pair video").nth(1))
    made = httpx.get(panel.get_by_role("link", name="Download").evaluate("link => link.href")).content
    assert probe(made)["fps"] == 24


def test_all_jobs_are_listed_live_and_open(open_console: OpenConsole, folder: Path, graph: RunningGraph) -> None:
    page = open_console("jobs", width=390, scheme="dark")
    with httpx.Client(base_url=graph.url, timeout=60, headers={"Prefer": "respond-async"}) as http:
        body = {"prompt": "a tree", "size": "64x64"}
        for _ in range(21):
            http.post("/v1/images/generations", json=body).raise_for_status()
        files = {"file": ("long.mp4", (folder / "long.mp4").read_bytes())}
        running = http.post("/video/motInference", files=files).json()["id"]
    rows = page.locator(".job-row")
    expect(rows).to_have_count(20)
    list_recent = page.locator(f"[data-id={running}]")
    expect(list_recent.get_by_role("progressbar")).to_be_visible()
    list_recent.get_by_role("button", name="Cancel").click()
    expect(list_recent.locator(".badge")).to_have_text("Cancelled")
    expect(rows.nth(1).locator(".badge")).to_have_text("Done")
    first = rows.first.get_attribute("data-id")
    page.get_by_role("button", name="Older").click()
    expect(page.locator(f"[data-id={first}]")).to_have_count(0)
    page.get_by_role("button", name="Newer").click()
    expect(page.locator(f"[data-id={first}]")).to_have_count(1)
    rows.nth(1).get_by_role("button", name="Open").click()
    panel = page.get_by_role("tabpanel", name="Generate image")
    assert natural_size(panel.locator(".gallery img")) == (64, 64)


def test_unusable_files_are_explained(console: Page, tmp_path: Path) -> None:
    console.watch.expected_statuses = {415}
    (tmp_path / "text.png").write_text("no image at all")
    (tmp_path / "half.png").write_bytes(png()[:900])
    panel = go(console, "Describe image")
    panel.get_by_role("button", name="Describe").click()
    expect(panel.locator(".ended")).to_contain_text("Choose a file first.")
    choose(panel, tmp_path / "text.png", "Describe")
    expect(panel.get_by_role("alert")).to_contain_text("Unsupported file type")
    choose(panel, tmp_path / "half.png", "Describe")
    expect(panel.get_by_role("alert")).to_contain_text("This file cannot be used")


def test_without_a_connection_it_says_so_and_goes_on_later(console: Page, folder: Path) -> None:
    panel = go(console, "Interpolate video")
    expect(panel.locator(".state")).to_have_text("Ready")
    console.context.set_offline(True)
    choose(panel, folder / "short.mp4", "Interpolate")
    expect(panel.get_by_role("alert")).to_contain_text("This device is offline")
    console.context.set_offline(False)
    panel.get_by_role("button", name="Try again").click()
    is_playable(panel.locator(".pair video").nth(1))


def test_the_command_submits_the_same_job(console: Page, tmp_path: Path, graph: RunningGraph) -> None:
    name = """-it's "a" $(id); , \\ 图.png"""
    (tmp_path / name).write_bytes(png(64, 64))
    panel = go(console, "Animate image")
    panel.get_by_label("Frames", exact=True).fill("2")
    panel.locator("input[type=file]").set_input_files(tmp_path / name)
    panel.get_by_text("The same with curl").click()
    command = panel.locator(".curl code").inner_text()
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    job = json.loads(done.stdout)
    assert (job["object"], job["route"]) == ("job", "/image/generateVideo")
    console.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.get_by_role("button", name="Copy").click()
    assert console.evaluate("navigator.clipboard.readText()") == command
    with httpx.stream("GET", f"{graph.url}/v1/jobs/{job['id']}/events", timeout=120) as events:
        last = [json.loads(line.removeprefix("data: ")) for line in events.iter_lines() if line.startswith("data: ")][
            -1
        ]
    made = httpx.get(f"{graph.url}/{last['result']['svdVideoUrl']}").content
    assert len(probe(made)["frames"]) == 2
