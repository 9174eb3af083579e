"""How good each capability's answers are, against truths that are drawn or known; for any configuration (CONFIG=).

All of it goes through HTTP. Round trip: twenty sentences from text to speech and back, as word error rate (WER), by the
configured engine and by Kokoro's published weights if the tests' packages carry them.
Documents: thirty questions and ten that the documents do not answer. Images: PSNR and SSIM beside bicubic, on
photographs made four times smaller. Videos: in-between frames beside what the scene shows there; tracks beside true
boxes.
"""

import io
from collections.abc import Iterator
from typing import Any

import av
import cv2
import httpx
import jiwer
import motmetrics
import numpy as np
import pytest
import skimage.data
import yaml
from PIL import Image
from skimage.metrics import structural_similarity

from tests.bench.setting import Bench, say
from tests.checkpoints.published import KOKORO_FILE, make_published_kokoro
from tests.conftest import SAMPLES
from tests.fonts import LATIN
from tests.pipelines.chat.test_answers import CORPORA, KINDS, MAKERS
from tests.pipelines.frame_interpolation.test_optical_flow import SCENES, psnr, scene
from tests.pipelines.object_tracking.test_classical_tracker import cross_each_other, enter_and_leave, overlaps
from tests.scans import ENGLISH_TEXT, scan, share_right

HEAD = ("figure", "n", "answers", "beside")
FURTHER = ()
CORPUS = "company"
JFK = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
SENTENCES = (
    "The weather is fine today.",
    "Please close the window before you leave.",
    "The train to the city leaves at nine in the morning.",
    "She bought three apples and a loaf of bread.",
    "Our office is on the second floor.",
    "The children are playing in the garden.",
    "He forgot his umbrella on the bus.",
    "The meeting has been moved to Thursday.",
    "Turn left at the next corner.",
    "This book was written more than a hundred years ago.",
    "The river is wide and very deep.",
    "My brother works in a small hospital.",
    "We need more chairs for the guests.",
    "The museum is closed on Mondays.",
    "A cup of coffee costs two dollars.",
    "The old bridge was repaired last summer.",
    "They walked along the beach until sunset.",
    "Her answer surprised everyone in the room.",
    "The machine stops when the door is open.",
    "Thank you very much for your help.",
)
FACTS = (
    ("What is the capital of France?", "paris"),
    ("What color is the sky on a clear day?", "blue"),
    ("How many days are there in a week?", "seven|7"),
    ("What do bees make?", "honey"),
    ("What is the opposite of hot?", "cold"),
    ("Which planet do we live on?", "earth"),
    ("What is frozen water called?", "ice"),
    ("Who wrote Romeo and Juliet?", "shakespeare"),
    ("What is the largest ocean?", "pacific"),
    ("In which country is Rome?", "italy"),
)
PHOTOGRAPHS = {
    "astronaut": "person|woman|man|astronaut|face",
    "chelsea": "cat",
    "coffee": "coffee|cup",
    "rocket": "rocket",
}


def measure(bench: Bench) -> Iterator[list[object]]:
    with httpx.Client(base_url=bench.graph.url, timeout=900) as http:
        for part in (_speech, _chat, _documents, _understanding, _generation, _enhancement, _interpolation, _tracking):
            say(part.__name__.strip("_"))
            yield from part(http)
        yield from _kokoro(bench, http)


def plain_words(text: str) -> str:
    """Words without capitals and punctuation."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def _hear(http: httpx.Client, audio: bytes) -> str:
    return plain_words(http.post("/v1/asr", content=audio).raise_for_status().json()["result"])


def _round_trip(http: httpx.Client, **voice: str) -> list[object]:
    engine, rates = "", []
    for sentence in SENTENCES:
        spoken = http.get("/v1/tts", params={"text": sentence, **voice}).raise_for_status()
        engine = spoken.headers["x-sensorium-engine"]
        rates.append(jiwer.wer(plain_words(sentence), _hear(http, spoken.content) or "-"))
    return [f"speech: {engine} heard again, WER", len(rates), f"{np.mean(rates):.3f}", ""]


def _speech(http: httpx.Client) -> Iterator[list[object]]:
    yield _round_trip(http)
    if (sample := SAMPLES / "jfk.flac").is_file():
        yield ["speech: a recording of 1961, WER", 1, f"{jiwer.wer(JFK, _hear(http, sample.read_bytes())):.3f}", ""]


def _kokoro(bench: Bench, http: httpx.Client) -> Iterator[list[object]]:
    """Kokoro-82M in the place of the configured engine; its style is a Japanese speaker's."""
    try:
        folder = make_published_kokoro(bench.folder / "kokoro")
    except pytest.skip.Exception as missing:
        say(f"kokoro: {missing.msg}")
        return
    configured = bench.graph.block("SpeechSynthesis")["user_config"]
    voice = "af_gongitsune"
    _swap(bench, {"engine": "kokoro", "model": str(folder), "file": KOKORO_FILE, "voice": voice})
    yield _round_trip(http, voice=voice)
    _swap(bench, configured)


def _swap(bench: Bench, user_config: dict[str, Any]) -> None:
    bench.graph.edit("SpeechSynthesis", user_config=user_config)
    bench.graph.wait_for("SpeechSynthesis", 240, engine=user_config["engine"], state="ready")


def _ask(http: httpx.Client, question: str, **further: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 120, **further}
    answer: dict[str, Any] = http.post("/v1/chat/completions", json=body).raise_for_status().json()
    return answer


def _said(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def _chat(http: httpx.Client) -> Iterator[list[object]]:
    right, model = 0, ""
    for question, expected in FACTS:
        answer = _ask(http, question)
        model = answer["model"]
        right += any(word in _said(answer).lower() for word in expected.split("|"))
    yield [f"chat: simple facts, {model}", len(FACTS), f"{right} right", ""]


def _documents(http: httpx.Client) -> Iterator[list[object]]:
    for path in sorted((CORPORA / CORPUS).glob("*.txt")):
        name = f"{path.stem}.{KINDS[path.stem]}"
        file = MAKERS[KINDS[path.stem]](path.read_text("utf-8"))
        http.post(
            "/uploadFile/uploadLearningFile", params={"category": CORPUS}, files={"fileToUpload": (name, file)}
        ).raise_for_status()
    asked = yaml.safe_load((CORPORA / CORPUS / "questions.yaml").read_text("utf-8"))
    answers = [(_ask(http, question, category=CORPUS), wanted) for _, question, wanted in asked["answerable"]]
    right = sum(wanted in _said(answer) for answer, wanted in answers)
    found = sum(any(wanted in source["passage"] for source in answer["sources"]) for answer, wanted in answers)
    declined = sum(not _ask(http, question, category=CORPUS)["sources"] for _, question in asked["unanswerable"])
    model = answers[0][0]["model"]
    yield [f"documents: answered in their words, {model}", len(answers), f"{right} right", ""]
    yield ["documents: the sentence is in the sources", len(answers), f"{found} found", ""]
    yield ["documents: what they do not say", len(asked["unanswerable"]), f"{declined} declined", ""]


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _describe(http: httpx.Client, image: np.ndarray) -> dict[str, Any]:
    files = {"file": ("image.png", _png(image))}
    answer: dict[str, Any] = http.post("/image/imageToText", files=files).raise_for_status().json()
    return answer


def _understanding(http: httpx.Client) -> Iterator[list[object]]:
    named = 0
    for name, expected in PHOTOGRAPHS.items():
        answer = _describe(http, getattr(skimage.data, name)())
        words = plain_words(f"{answer['caption']} {answer['classification']}").split()
        named += bool(set(words) & set(expected.split("|")))
    yield ["images: photographs named rightly", len(PHOTOGRAPHS), f"{named} right", ""]
    found = _describe(http, scan(ENGLISH_TEXT, LATIN)).get("text", "")
    wanted = " ".join(ENGLISH_TEXT).split()
    yield ["images: words of a scan", len(wanted), f"{share_right(wanted, found.split()):.1%} right", ""]


def _generation(http: httpx.Client) -> Iterator[list[object]]:
    things, named = ("cat", "dog", "car", "tree", "house"), 0
    for thing in things:
        body = {"prompt": f"a {thing}", "size": "512x512", "seed": 1}
        made = http.post("/v1/images/generations", json=body).raise_for_status().json()["data"][0]["url"]
        answer = _describe(http, np.asarray(Image.open(io.BytesIO(httpx.get(made).content)).convert("RGB")))
        named += thing in plain_words(f"{answer['caption']} {answer['classification']}").split()
    yield ["images: generated, then named by this graph", len(things), f"{named} right", ""]


def _enhancement(http: httpx.Client) -> Iterator[list[object]]:
    truths = {name: getattr(skimage.data, name)()[:256, 128:384, :3] for name in ("astronaut", "chelsea", "coffee")}
    if (sample := SAMPLES / "baboon_gt.png").is_file():
        truths["baboon"] = np.asarray(Image.open(sample).convert("RGB"))[:256, :256]
    ours, bicubic = [], []
    for truth in truths.values():
        height, width = truth.shape[:2]
        small = Image.fromarray(truth).resize((width // 4, height // 4), Image.Resampling.BICUBIC)
        files = {"file": ("image.png", _png(np.asarray(small)))}
        url = http.post("/image/enhanceImage", files=files).raise_for_status().json()["enhanceImageUrl"]
        enhanced = Image.open(io.BytesIO(httpx.get(url).content)).convert("RGB")
        ours.append(likeness(np.asarray(enhanced.resize((width, height), Image.Resampling.BICUBIC)), truth))
        bicubic.append(likeness(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)), truth))
    yield ["images: enhanced ×4, PSNR in dB, SSIM", len(truths), _pair(ours), f"bicubic {_pair(bicubic)}"]


def likeness(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and SSIM."""
    return psnr(truth, image), float(structural_similarity(truth, image, channel_axis=2))


def _pair(figures: list[tuple[float, float]]) -> str:
    decibel, similarity = np.mean(figures, axis=0)
    return f"{decibel:.2f}, {similarity:.3f}"


def _video(frames: list[np.ndarray], fps: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _frames(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _interpolation(http: httpx.Client) -> Iterator[list[object]]:
    ours, average = [], []
    for name in SCENES:
        times = np.linspace(0, 2, 9)
        shown = [scene(name, t) for t in times[::2]]
        answer = http.post("/video/mmeditingInference", files={"file": ("a.mp4", _video(shown, 12))}).raise_for_status()
        made = _frames(http.get("/" + answer.json()["data"]).content)
        for index, t in list(enumerate(times))[1::2]:
            truth = scene(name, t)
            ours.append(likeness(made[index], truth))
            blend = cv2.addWeighted(shown[index // 2], 0.5, shown[index // 2 + 1], 0.5, 0)
            average.append(likeness(blend, truth))
    yield ["videos: frames in between, PSNR in dB, SSIM", len(ours), _pair(ours), f"averaged {_pair(average)}"]


def _tracking(http: httpx.Client) -> Iterator[list[object]]:
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    count = 0
    for drawn in (enter_and_leave, cross_each_other):
        frames, truths = zip(*drawn(), strict=True)
        answer = http.post(
            "/video/motInference", files={"file": ("a.mp4", _video(list(frames), 25))}
        ).raise_for_status()
        rows = np.array([line.split(",") for line in http.get("/" + answer.json()["tracks"]).text.split()], float)
        for number, truth in enumerate(truths, start=1):
            here = rows[rows[:, 0] == number] if len(rows) else np.empty((0, 10))
            boxes = np.hstack([here[:, 2:4], here[:, 2:4] + here[:, 4:6]])
            found = overlaps(np.array(list(truth.values())).reshape(-1, 4), boxes)
            accumulator.update(list(truth), here[:, 1].tolist(), np.where(found >= 0.5, 1 - found, np.nan))
            count += len(truth)
    figures = motmetrics.metrics.create().compute(accumulator, metrics=["mota", "idf1"]).iloc[0]
    yield ["videos: tracks of drawn things, MOTA, IDF1", count, f"{figures['mota']:.3f}, {figures['idf1']:.3f}", ""]
