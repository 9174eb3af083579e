"""Chat, Documents and both ways of speech in the browser, against the real graph."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import SPOKEN, OpenConsole
from tests.serving import RunningGraph

FACTS = "The lighthouse of Farsund was built in 1836. Its light is seen 27 nautical miles away."
HOSTILE = "<img src=x onerror=alert(1)>"


def go(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.get_by_role("tabpanel", name=name, exact=True)).to_be_visible()


def add_document(graph: RunningGraph, category: str, name: str, text: str) -> None:
    httpx.post(
        f"{graph.url}/uploadFile/uploadLearningFile",
        params={"category": category},
        files={"fileToUpload": (name, text.encode())},
        timeout=60,
    ).raise_for_status()


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_chat_streams_quotes_its_sources_and_is_kept(console: Page, graph: RunningGraph) -> None:
    add_document(graph, "console-coast", "lights.txt", FACTS)
    console.get_by_label("Category of documents").fill("console-coast")
    ask(console, "When was the lighthouse of Farsund built?")
    answer = console.locator(".turn.assistant")
    expect(answer.locator(".said")).to_contain_text("1836")
    quote = answer.locator("blockquote")
    expect(quote).to_contain_text("built in 1836")
    expect(quote.locator("cite")).to_have_text("lights.txt")
    expect(quote.locator("footer")).to_contain_text("score 0.")
    ask(console, "And how far is it seen?")  # only the conversation says what "it" is
    expect(answer.last.locator(".said")).to_contain_text("27 nautical miles")
    console.reload()
    expect(console.locator(".turn")).to_have_count(4)
    assert console.locator("#categories option").first.get_attribute("value") == "console-coast"
    console.get_by_role("button", name="New conversation").click()
    expect(console.locator(".turn")).to_have_count(0)


def test_an_answer_comes_word_by_word_and_can_be_stopped(console: Page, graph: RunningGraph) -> None:
    console.evaluate(
        """() => {
            window.lengths = new Set();
            new MutationObserver(() => {
                const said = document.querySelector(".turn.assistant .said");
                if (said) window.lengths.add(said.textContent.length);
            }).observe(document.querySelector(".log"), {subtree: true, childList: true, characterData: true});
        }"""
    )
    ask(console, "What is the capital of France?")
    assert console.evaluate("window.lengths.size") >= 3
    text = " ".join(f"Sentence {number} tells of the lighthouse keeper's day in Farsund." for number in range(400))
    add_document(graph, "console-long", "long.txt", text)
    console.evaluate(
        """() => new MutationObserver((_, watching) => {
            if (document.querySelectorAll(".turn.assistant").length < 2) return;
            watching.disconnect();
            document.querySelector("[data-do=stop]").click();
        }).observe(document.querySelector(".log"), {subtree: true, childList: true})"""
    )
    ask(console, "Tell me all about the lighthouse keeper's day in Farsund.")
    expect(console.locator(".turn.assistant").last).to_contain_text("topped")
    expect(console.get_by_role("button", name="Stop")).to_be_hidden()


def test_what_people_write_never_becomes_html(console: Page, graph: RunningGraph) -> None:
    add_document(graph, HOSTILE, f"{HOSTILE.replace('/', '')}.txt", f"The key of the cellar is {HOSTILE} and blue.")
    console.get_by_label("Category of documents").fill(HOSTILE)
    ask(console, f"What is the key of the cellar? {HOSTILE}")
    expect(console.locator(".turn.user")).to_contain_text(HOSTILE)
    expect(console.locator("blockquote p").first).to_contain_text(HOSTILE)
    expect(console.locator(".turn.assistant .said")).to_contain_text(HOSTILE)
    console.reload()
    expect(console.locator(".turn.user")).to_contain_text(HOSTILE)
    go(console, "Documents")
    console.get_by_label("Category", exact=True).fill(HOSTILE)
    console.get_by_label("Category", exact=True).press("Tab")
    expect(console.get_by_role("row", name=HOSTILE)).to_be_visible()
    assert console.locator("main img").count() == 0


def test_documents_come_are_listed_and_go(console: Page, tmp_path: Path) -> None:
    go(console, "Documents")
    panel = console.get_by_role("tabpanel")
    panel.get_by_label("Category").fill("console-shelf")
    panel.get_by_label("Category").press("Tab")
    expect(panel).to_contain_text("There are no documents under “console-shelf” yet.")
    files = []
    for name, text in (("one.txt", "The first text."), ("two.txt", "The second text, of ships.")):
        (tmp_path / name).write_text(text)
        files.append(tmp_path / name)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a pdf at all")
    console.watch.expected_statuses = {422}
    panel.locator("input[type=file]").set_input_files([*files, tmp_path / "broken.pdf"])
    expect(panel.get_by_role("row")).to_have_count(3)
    expect(panel.locator(".done")).to_have_count(2)
    expect(panel.get_by_role("alert")).to_contain_text("This file cannot be used")
    expect(panel.locator("caption")).to_have_text("2 documents under “console-shelf”")
    panel.get_by_role("button", name="Delete one.txt").click()
    panel.get_by_role("button", name="Really delete one.txt?").click()
    expect(panel.get_by_role("row", name="one.txt")).to_have_count(0)
    console.reload()
    panel.get_by_label("Category").fill("console-shelf")
    panel.get_by_label("Category").press("Tab")
    expect(panel.get_by_role("row", name="two.txt")).to_contain_text("26 bytes")
    expect(panel.get_by_role("row")).to_have_count(2)


def drop(page: Page, path: Path, kind: str) -> None:
    """Drop a file on the panel, as a browser reports it."""
    page.evaluate(
        """([bytes, name, type]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, {type}));
            const panel = document.querySelector("[role=tabpanel]:not([hidden])");
            for (const type of ["dragover", "drop"]) {
                panel.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
            }
        }""",
        [list(path.read_bytes()), path.name, kind],
    )


def test_a_dropped_audio_file_becomes_text(console: Page, spoken: Path) -> None:
    go(console, "Speech to text")
    drop(console, spoken, "audio/wav")
    expect(console.locator(".transcript .said")).to_have_text(re.compile(SPOKEN, re.IGNORECASE))
    assert console.locator(".result audio").evaluate("audio => audio.duration") > 0.3
    expect(console.get_by_role("tabpanel").locator(".curl code")).to_contain_text("--data-binary @spoken.wav")


def test_the_microphone_becomes_text(open_console: OpenConsole, chromium: Callable[..., Browser], spoken: Path) -> None:
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with chromium(*fake, f"--use-file-for-fake-audio-capture={spoken}") as browser:
        console = open_console("speech-to-text", browser=browser)
        console.get_by_role("button", name="Record").click()
        expect(console.locator(".recording")).to_have_text("Recording, 0:03")
        console.get_by_role("button", name="Stop and recognize").click()
        expect(console.locator(".transcript .said")).to_contain_text("weather is fine")
        expect(console.get_by_role("button", name="Record")).to_be_visible()
        console.context.close()


def test_text_becomes_speech_and_a_download(console: Page) -> None:
    go(console, "Text to speech")
    panel = console.get_by_role("tabpanel")
    panel.get_by_label("Text").fill("Guten Morgen & 100 % 'Glück'")
    panel.get_by_label("Language").fill("de")
    panel.get_by_label("Speed").fill("1.5")
    panel.get_by_role("button", name="Speak").click()
    expect(panel.locator("audio")).to_be_visible()
    expect(panel.locator("audio")).to_have_js_property("readyState", 4)
    assert 0.8 < panel.locator("audio").evaluate("audio => audio.duration") < 3
    with console.expect_download() as coming:
        panel.get_by_role("link", name="Download").click()
    assert coming.value.suggested_filename == "speech.mp3"
    assert Path(coming.value.path()).stat().st_size > 3000


def test_an_unknown_voice_is_explained(console: Page) -> None:
    console.watch.expected_statuses = {400}
    go(console, "Text to speech")
    panel = console.get_by_role("tabpanel")
    panel.get_by_label("Text").fill("Hello")
    panel.get_by_label("Voice").fill("nobody at all")
    panel.get_by_role("button", name="Speak").click()
    expect(panel.get_by_role("alert")).to_contain_text("An input is invalid")
    expect(panel.get_by_role("button", name="Try again")).to_have_count(0)  # it would not do better


def shown_command(page: Page) -> str:
    page.get_by_text("The same with curl").locator("visible=true").click()
    return page.locator(".curl code").locator("visible=true").inner_text()


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=True, env=os.environ
    )
    return done.stdout


def test_the_commands_do_what_the_forms_say(console: Page, tmp_path: Path, spoken: Path) -> None:
    """Names and texts that a shell or curl could take apart."""
    console.get_by_label("Message").fill("""What's "$HOME" `id` \\ ; & in\nSensorium?""")
    assert run(shown_command(console), tmp_path).rstrip().endswith("data: [DONE]")
    go(console, "Documents")
    panel = console.get_by_role("tabpanel")
    panel.get_by_label("Category").fill('it\'s; a & "category"')
    name = """-it's "a"; $(id), \\ file.txt"""
    (tmp_path / name).write_text("Some text of ships.")
    panel.locator("input[type=file]").set_input_files(tmp_path / name)
    expect(panel.locator(".done")).to_have_count(1)
    assert "is indexed" in panel.locator(".done").inner_text()
    go(console, "Text to speech")
    panel.get_by_label("Text").fill("=it's @home & 100 %")
    run(shown_command(console), tmp_path)
    assert (tmp_path / "speech.mp3").stat().st_size > 1000
    go(console, "Speech to text")
    hostile = tmp_path / "it's;a $(id).wav"
    hostile.write_bytes(spoken.read_bytes())
    panel.locator("input[type=file]").set_input_files(hostile)
    expect(console.locator(".transcript .said")).to_have_text(re.compile(SPOKEN, re.IGNORECASE))
    assert SPOKEN in run(shown_command(console), tmp_path).lower()
