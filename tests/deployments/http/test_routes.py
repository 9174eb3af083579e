"""The ten documented routes, word for word as documented, on the running graph."""

import io
import re
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import jiwer
import numpy as np
import pytest
from PIL import Image

from tests.fonts import CHINESE, LATIN
from tests.heif import heic
from tests.media import mp4, phone_video, png, probe, shape_of_disc, tone
from tests.scans import CHINESE_TEXT, ENGLISH_TEXT, saved, scan, share_right
from tests.serving import RunningGraph

REPORT = """Annual report of the Harbour Library

The Harbour Library was founded in 1923 by the merchant Elias Brandt.
In 2022 the library lent 48,200 books. In 2023 the library lent 51,900 books.
The reading room is open from 9 in the morning until 8 in the evening.
"""


@pytest.fixture
def category() -> str:
    return f"test {uuid.uuid4()}"


def upload(client: httpx.Client, category: str, name: str, data: bytes) -> httpx.Response:
    return client.post(
        "/uploadFile/uploadLearningFile", params={"category": category}, files={"fileToUpload": (name, data)}
    )


def ask(client: httpx.Client, question: str, **more: object) -> httpx.Response:
    body = {"temperature": 0.8, "max_tokens": 500, "messages": [{"role": "user", "content": question}], **more}
    return client.post("/v1/chat/completions", json=body)


def test_chat_has_the_documented_shape(client: httpx.Client) -> None:
    answer = ask(client, "What is the capital of France?", model="gpt-3.5-turbo-1106", temperature=0)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{22}", body["id"])
    assert body["object"] == "chat.completion"
    assert abs(body["created"] - time.time()) < 60
    [choice] = body["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert "Paris" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["completion_tokens"] > 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer.headers["x-sensorium-engine"] == "starter"
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_documents_ground_the_chat(client: httpx.Client, category: str) -> None:
    answer = upload(client, category, "report.txt", REPORT.encode())
    assert (answer.status_code, answer.json()) == (200, {"result": True})
    body = ask(client, "Who founded the Harbour Library?", category=category).json()
    assert "Elias Brandt" in body["choices"][0]["message"]["content"]
    [source, *_] = body["sources"]
    assert source["document"] == "report.txt"
    assert "Elias Brandt" in source["passage"]
    assert 0 < source["score"] <= 1
    other = ask(client, "Who founded the Harbour Library?", category=f"{category} other").json()
    assert other["sources"] == []
    assert "Elias Brandt" not in other["choices"][0]["message"]["content"]
    unknown = ask(client, "What did the roof repair cost?", category=category).json()
    assert unknown["sources"] == []


def test_a_scanned_document_is_quoted_with_its_page(client: httpx.Client, category: str) -> None:
    scans = saved([scan(CHINESE_TEXT, CHINESE), scan(ENGLISH_TEXT, LATIN)], "PDF")
    answer = upload(client, category, "scans.pdf", scans)
    assert (answer.status_code, answer.json()) == (200, {"result": True})
    body = ask(client, "When was the lighthouse of Farsund built?", category=category).json()
    assert "1836" in body["choices"][0]["message"]["content"]
    assert (body["sources"][0]["document"], body["sources"][0]["page"]) == ("scans.pdf", 2)
    assert "1836" in body["sources"][0]["passage"]
    body = ask(client, "图书馆周六开放到几点？", category=category).json()
    assert "十二点" in body["choices"][0]["message"]["content"]
    assert body["sources"][0]["page"] == 1


def test_a_follow_up_question_is_understood(client: httpx.Client, category: str) -> None:
    upload(client, category, "report.txt", REPORT.encode())
    talk = [
        {"role": "user", "content": "How many books did the library lend in 2022?"},
        {"role": "assistant", "content": "In 2022 the library lent 48,200 books."},
        {"role": "user", "content": "And in 2023?"},
    ]
    body = client.post("/v1/chat/completions", json={"messages": talk, "category": category}).json()
    assert "51,900" in body["choices"][0]["message"]["content"]


def test_documents_are_listed_once_and_deleted(client: httpx.Client, category: str) -> None:
    for _ in range(2):
        assert upload(client, category, "报告.txt", REPORT.encode()).json() == {"result": True}
    listed = client.get("/uploadFile/learningFiles", params={"category": category}).json()
    assert listed["result"] is True
    [record] = listed["data"]
    assert record["name"] == "报告.txt"
    assert record["bytes"] == len(REPORT.encode())
    gone = client.delete("/uploadFile/learningFile", params={"category": category, "id": record["id"]})
    assert gone.json() == {"result": True}
    again = client.delete("/uploadFile/learningFile", params={"category": category, "id": record["id"]})
    assert again.status_code == 404
    assert client.get("/uploadFile/learningFiles", params={"category": category}).json()["data"] == []
    assert ask(client, "Who founded the Harbour Library?", category=category).json()["sources"] == []


@pytest.mark.parametrize("name", ["../../x", "🙂 émoji", "a'b\"; DROP TABLE passages; --", "类别", " "])
def test_any_unicode_text_is_a_category(client: httpx.Client, name: str) -> None:
    assert upload(client, name, "report.txt", REPORT.encode()).json() == {"result": True}
    body = ask(client, "Who founded the Harbour Library?", category=name).json()
    assert "Elias Brandt" in body["choices"][0]["message"]["content"]


def test_speech_recognition(client: httpx.Client, sample) -> None:
    audio = sample("jfk.flac").read_bytes()
    answer = client.post("/v1/asr", content=audio, headers={"Content-Type": "application/octet-stream"})
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, 20000000)
    wanted = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    assert jiwer.wer(wanted, body["result"].lower()) <= 0.35
    assert set(body) == {"result", "status"}


def test_a_tag_before_the_sound_is_no_format(client: httpx.Client, sample) -> None:
    """FLAC behind an ID3 tag with a cover image, of 300 KB."""
    tag = b"ID3\x04\0\0" + bytes(300_000 >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(300_000)
    tagged = tag + sample("jfk.flac").read_bytes()
    spoken = client.post("/v1/asr", content=tagged).json()
    assert "ask not what your country can do for you" in spoken["result"].lower().replace(",", "")
    form = client.post("/v1/audio/transcriptions", files={"file": ("a.flac", tagged)}, data={"model": "whisper-1"})
    assert "country" in form.json()["text"], form.text


def test_photos_of_phones(client: httpx.Client) -> None:
    """A HEIC in tiles, turned by the file."""
    photo = np.zeros((64, 96, 3), np.uint8)
    photo[:, :48] = (200, 40, 40)
    body = client.post("/image/enhanceImage", files={"file": ("IMG_0001.HEIC", heic(photo, turns=1, columns=2))}).json()
    enlarged = np.asarray(Image.open(io.BytesIO(httpx.get(body["enhanceImageUrl"]).content)).convert("RGB"), int)
    assert enlarged.shape == (384, 256, 3)
    assert enlarged[300, 128] == pytest.approx((200, 40, 40), abs=12)
    assert enlarged[80, 128] == pytest.approx((0, 0, 0), abs=12)


def test_silence_is_an_empty_result(client: httpx.Client) -> None:
    answer = client.post("/v1/asr", content=tone(2, level=0))
    assert (answer.status_code, answer.json()) == (200, {"result": "", "status": 20000000})


def test_headerless_pcm(client: httpx.Client) -> None:
    answer = client.post("/v1/asr", params={"format": "pcm", "sample_rate": 8000}, content=bytes(16_000))
    assert (answer.status_code, answer.json()) == (200, {"result": "", "status": 20000000})


def decoded(mp3: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(mp3), format="mp3") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.concatenate(frames, axis=1)[0], container.streams.audio[0].rate


def test_text_to_speech(client: httpx.Client) -> None:
    answer = client.get("/v1/tts", params={"text": "The weather is fine today."})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-sensorium-engine"] == "espeak-ng"
    samples, rate = decoded(answer.content)
    assert 1 < len(samples) / rate < 5
    assert np.abs(samples).max() > 0.05


@pytest.mark.parametrize(("text", "plain"), [("２０２３年", "2023年"), ("ＡＢＣ公司", "ABC公司"), ("５０％", "50%")])
def test_full_width_text_sounds_alike(client: httpx.Client, text: str, plain: str) -> None:
    first, second = (client.get("/v1/tts", params={"text": each}) for each in (text, plain))
    assert first.status_code == 200
    assert first.content == second.content
    posted = client.post("/v1/audio/speech", json={"input": text})
    assert posted.content == first.content


def test_spoken_text_is_heard_again(client: httpx.Client) -> None:
    speech = client.get("/v1/tts", params={"text": "one two three four five", "speed": 0.8})
    heard = client.post("/v1/asr", content=speech.content).json()
    assert heard["status"] == 20000000
    words = set(re.findall(r"\w+", heard["result"].lower()))
    numbers = [{"one", "1"}, {"two", "2"}, {"three", "3"}, {"four", "4"}, {"five", "5"}]
    assert sum(bool(number & words) for number in numbers) >= 3


def signed_url_works(url: str) -> bytes:
    got = httpx.get(url)
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("image/")
    assert httpx.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    assert httpx.get(url.split("?", maxsplit=1)[0]).status_code == 403
    return got.content


def test_image_generation(client: httpx.Client, graph: RunningGraph) -> None:
    answer = client.post("/v1/images/generations", json={"prompt": "a pig"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert isinstance(body["created"], int)
    [image] = body["data"]
    assert set(image) == {"url"}
    assert re.fullmatch(r"/stable-diffusion/[a-z]{8}[0-9]{12}\.png", urlsplit(image["url"]).path)
    assert image["url"].startswith(graph.url + "/")
    assert Image.open(io.BytesIO(signed_url_works(image["url"]))).size == (1024, 1024)


def test_image_generation_as_openai_clients_send_it(client: httpx.Client) -> None:
    body = {"prompt": "two red cars", "n": 2, "size": "320x256", "seed": 7, "response_format": "b64_json"}
    first = client.post("/v1/images/generations", json=body).json()["data"]
    assert len(first) == 2
    assert first[0]["b64_json"] != first[1]["b64_json"]
    assert client.post("/v1/images/generations", json=body).json()["data"] == first


def test_image_to_text(client: httpx.Client) -> None:
    answer = client.post("/image/imageToText", files={"file": ("photo.jpg", png())})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"status", "classification", "caption", "text", "samUrl"}
    assert body["status"] == "success"
    assert body["caption"]
    assert body["classification"]
    assert body["text"] == ""
    assert re.fullmatch(r"/sam/[a-z]{8}[0-9]{12}\.png", urlsplit(body["samUrl"]).path)
    assert Image.open(io.BytesIO(signed_url_works(body["samUrl"]))).size == (320, 240)


def test_what_is_written_in_an_image(client: httpx.Client) -> None:
    image = saved([scan(ENGLISH_TEXT, LATIN)], "PNG")
    lines = client.post("/image/imageToText", files={"file": image}).json()["text"].split("\n")
    assert len(lines) == len(ENGLISH_TEXT)
    assert share_right(" ".join(ENGLISH_TEXT).split(), " ".join(lines).split()) >= 0.95


def test_enhance_image(client: httpx.Client) -> None:
    answer = client.post("/image/enhanceImage", files={"file": ("photo.png", png(80, 60))})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"status", "enhanceImageUrl"}
    assert re.fullmatch(r"/realesrgan/[a-z]{8}[0-9]{12}\.png", urlsplit(body["enhanceImageUrl"]).path)
    assert Image.open(io.BytesIO(signed_url_works(body["enhanceImageUrl"]))).size == (320, 240)


def test_enhancement_keeps_sixteen_bits_and_alpha(client: httpx.Client, sample) -> None:
    import cv2

    source = cv2.imread(str(sample("tree_rgba16.png")), cv2.IMREAD_UNCHANGED)
    body = client.post("/image/enhanceImage", files={"file": sample("tree_rgba16.png").read_bytes()}).json()
    data = np.frombuffer(httpx.get(body["enhanceImageUrl"]).content, np.uint8)
    enlarged = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert enlarged.dtype == np.uint16
    assert enlarged.shape == (source.shape[0] * 4, source.shape[1] * 4, 4)


def fetched(client: httpx.Client, path: str, pattern: str) -> dict:
    assert re.fullmatch(pattern + r"/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.mp4", path)
    video = client.get("/" + path)
    assert video.status_code == 200
    assert video.headers["content-type"] == "video/mp4"
    found = probe(video.content)
    assert (found["codec"], found["pix_fmt"]) == ("h264", "yuv420p")
    assert video.content.index(b"moov") < video.content.index(b"mdat")
    return found


def test_generate_video(client: httpx.Client) -> None:
    answer = client.post("/image/generateVideo", files={"file": ("photo.png", png())}, data={"prompt": " "})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"status", "svdVideoUrl"}
    found = fetched(client, body["svdVideoUrl"], "static/img/svd")
    assert found["duration_s"] == pytest.approx(4, abs=0.1)


def test_track_video(client: httpx.Client) -> None:
    answer = client.post("/video/motInference", files={"file": ("demo.mp4", mp4(frames=36))})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    found = fetched(client, body["data"], "static/video")
    assert (len(found["frames"]), found["fps"], found["audio"]) == (36, 12, True)
    lines = client.get("/" + body["tracks"]).text.splitlines()
    assert len(lines) > 20
    frame, track, left, top, width, height, *_ = (float(part) for part in lines[-1].split(","))
    assert (frame, track) == (36, 1)
    truth = 10 + 250 * 35 // 36
    assert abs(left - truth) < 12
    assert abs(width - 50) < 16
    assert abs(height - 60) < 16
    assert abs(top - 80) < 12


def test_pedestrians_are_found(client: httpx.Client, sample) -> None:
    body = client.post("/video/motInference", files={"file": sample("pedestrians.mp4").read_bytes()}).json()
    assert len(client.get("/" + body["tracks"]).text.splitlines()) >= 16
    assert len(fetched(client, body["data"], "static/video")["frames"]) == 8


def test_interpolate_video(client: httpx.Client) -> None:
    source = mp4(frames=24, fps=12)
    body = client.post("/video/mmeditingInference", files={"file": ("demo.mp4", source)}).json()
    assert set(body) == {"status", "data"}
    found = fetched(client, body["data"], "static/video")
    assert (len(found["frames"]), found["fps"], found["audio"]) == (48, 24, True)
    assert found["duration_s"] == pytest.approx(2, abs=0.05)
    faster = client.post("/video/mmeditingInference", params={"fps": 30}, files={"file": source}).json()
    assert fetched(client, faster["data"], "static/video")["fps"] == 30


@pytest.mark.parametrize(("route", "fps"), [("motInference", 240), ("mmeditingInference", 480)])
def test_video_as_phones_make_it(client: httpx.Client, route: str, fps: int) -> None:
    """HDR at 240 frames per second, in two languages, whose size changes on the way."""
    source = phone_video([(320, 180), (180, 320)])
    answer = client.post(f"/video/{route}", files={"file": ("clip.ts", source)})
    assert answer.status_code == 200, answer.text
    found = fetched(client, answer.json()["data"], "static/video")
    assert (found["fps"], found["width"], found["height"], found["languages"]) == (fps, 320, 180, ["eng", "deu"])
    assert found["duration_s"] == pytest.approx(0.2, abs=0.02)
    for frame in (found["frames"][fps // 20], found["frames"][fps * 3 // 20]):
        wide, high = shape_of_disc(frame)
        assert 50 < wide < 140
        assert wide / high == pytest.approx(1, abs=0.1)
        assert frame[90, 160].tolist() == pytest.approx([245] * 3, abs=10)
        assert frame[10, 160].tolist() == pytest.approx([188] * 3, abs=15)


def test_ranges_etags_and_heads_of_results(client: httpx.Client) -> None:
    path = "/" + client.post("/image/generateVideo", files={"file": png()}).json()["svdVideoUrl"]
    whole = client.get(path)
    part = client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert client.get(path, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert client.get(path, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole.content)))
    stale = client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, len(whole.content))


def test_models_say_honestly_what_they_are(client: httpx.Client) -> None:
    body = client.get("/v1/models").json()
    assert body["object"] == "list"
    assert len(body["data"]) == 10
    for model in body["data"]:
        assert model["object"] == "model"
        assert model["license"]
        assert len(model["description"]) > 20
        assert model["state"] == "ready"
        assert client.get(f"/v1/models/{model['id']}").json()["id"] == model["id"]
    assert client.get("/v1/models/gpt-5").status_code == 404


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert {state["state"] for state in ready.json()["capabilities"].values()} == {"ready"}


def test_docs_come_from_here_alone(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    for address in re.findall(r"""(?:src|href)=["']([^"']+)""", page.text):
        assert urlsplit(address).netloc == ""
        assert client.get(address).status_code == 200


def test_nothing_of_an_upload_is_left(client: httpx.Client, graph: RunningGraph) -> None:
    client.post("/image/imageToText", files={"file": png()})
    left = [path for path in (graph.data / "store").rglob("*") if path.is_file() and "uploads" in path.parts]
    assert left == []
    assert Path(graph.data / "store").is_dir()
