"""Bad input: the documented error in the shape of its route's family, never a 500, and nothing left behind."""

import io
import json
import socket
import time
import wave
import zipfile
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from docx import Document
from PIL import Image

from tests.media import mp4, png, tone
from tests.serving import RunningGraph

IMAGE_ROUTES = ("/image/imageToText", "/image/enhanceImage", "/image/generateVideo")
VIDEO_ROUTES = ("/video/motInference", "/video/mmeditingInference")
FILE_ROUTES = (*IMAGE_ROUTES, *VIDEO_ROUTES, "/uploadFile/uploadLearningFile")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname" width="9" height="9"/></svg>'
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"


@pytest.fixture(autouse=True)
def nothing_is_left(graph: RunningGraph) -> Iterator[None]:
    """No test here may leave an upload or a result in the store."""

    def objects() -> set[Path]:
        return {path for path in (graph.data / "store").rglob("*") if path.is_file()}

    before = objects()
    yield
    ends_s = time.monotonic() + 5
    while (left := objects() - before) and time.monotonic() < ends_s:
        time.sleep(0.1)
    assert not left


def send(client: httpx.Client, route: str, data: bytes, name: str = "file") -> httpx.Response:
    field = "fileToUpload" if route.startswith("/uploadFile") else "file"
    return client.post(route, params={"category": "bad input"}, files={field: (name, data)})


def refused(answer: httpx.Response, status: int) -> str:
    """The message of an error, once its status and the shape of its body are right."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    path = urlsplit(str(answer.request.url)).path
    body: dict[str, Any] = answer.json()
    for secret in ("Traceback", "site-packages", ".py", "store/"):
        assert secret not in answer.text
    if path == "/v1/asr":
        assert set(body) == {"result", "status", "message"}
        assert body["result"] == ""
        assert str(body["status"])[0] == str(status)[0]
        return str(body["message"])
    if path == "/v1/tts":
        assert set(body) == {"status", "message"}
        return str(body["message"])
    if path.startswith(("/image/", "/video/")):
        assert body["status"] == "error"
        assert set(body["error"]) == {"code", "message"}
        return str(body["error"]["message"])
    if path.startswith("/uploadFile/"):
        assert body["result"] is False
        assert set(body["error"]) == {"code", "message"}
        return str(body["error"]["message"])
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return str(body["error"]["message"])


@pytest.mark.parametrize("route", FILE_ROUTES)
def test_empty_body_and_not_multipart(client: httpx.Client, route: str) -> None:
    url = f"{route}?category=x"
    refused(client.post(url), 400)
    refused(client.post(url, content=b"plain", headers={"Content-Type": "text/plain"}), 400)
    refused(client.post(url, content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    refused(client.post(url, content=cut, headers={"Content-Type": "multipart/form-data; boundary=b"}), 400)


@pytest.mark.parametrize("route", FILE_ROUTES)
def test_missing_field(client: httpx.Client, route: str) -> None:
    answer = client.post(f"{route}?category=x", files={"other": ("a.png", png())})
    assert "file" in refused(answer, 400)


@pytest.mark.parametrize("route", FILE_ROUTES)
def test_empty_file(client: httpx.Client, route: str) -> None:
    refused(send(client, route, b""), 422)


def test_missing_query_and_prompt(client: httpx.Client) -> None:
    assert "category" in refused(client.post("/uploadFile/uploadLearningFile", files={"fileToUpload": b"text"}), 400)
    assert "text" in refused(client.get("/v1/tts"), 400)
    assert "prompt" in refused(client.post("/v1/images/generations", json={}), 400)
    assert "messages" in refused(client.post("/v1/chat/completions", json={}), 400)
    refused(client.post("/v1/chat/completions"), 400)
    refused(client.post("/v1/images/generations", json={"prompt": "   "}), 400)
    refused(client.post("/v1/images/generations", json={"prompt": "a" * 4001}), 400)
    refused(client.get("/v1/tts", params={"text": "  "}), 400)
    refused(client.get("/v1/tts", params={"text": "a" * 20_001}), 400)
    refused(client.post("/v1/asr"), 422)


def test_a_prompt_for_a_video_that_the_engine_does_not_follow(client: httpx.Client) -> None:
    def animated(prompt: str) -> httpx.Response:
        return client.post("/image/generateVideo", files={"file": png()}, data={"prompt": prompt})

    unsupported = animated("the leaves move")
    assert "does not follow a prompt" in refused(unsupported, 400)
    assert unsupported.json()["error"]["code"] == "unsupported_by_engine"
    too_long = animated("a" * 4001)
    assert "4000" in refused(too_long, 400)
    assert too_long.json()["error"]["code"] == "invalid_parameter"


@pytest.mark.parametrize("route", [*IMAGE_ROUTES, *VIDEO_ROUTES])
@pytest.mark.parametrize("data", [b"only text", SVG, PLAYLIST, CONCAT], ids=["text", "svg", "playlist", "concat"])
def test_text_and_scripts_are_no_media(client: httpx.Client, route: str, data: bytes) -> None:
    refused(send(client, route, data, "demo.mp4"), 415)


def test_text_is_no_audio(client: httpx.Client) -> None:
    for data in (b"only text", SVG, PLAYLIST, CONCAT):
        refused(client.post("/v1/asr", content=data), 415)


def test_an_image_is_no_video_and_a_video_no_image(client: httpx.Client) -> None:
    for route in VIDEO_ROUTES:
        refused(send(client, route, png(), "demo.mp4"), 415)
    for route in IMAGE_ROUTES:
        refused(send(client, route, mp4(frames=3), "photo.png"), 415)


def test_documents_of_kinds_that_are_not_read(client: httpx.Client) -> None:
    route = "/uploadFile/uploadLearningFile"
    assert "png, jpeg, tiff" in refused(send(client, route, tone(1), "scan.pdf"), 415)
    assert ".docx" in refused(send(client, route, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000), "old.doc"), 415)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hello.txt", "hello")
    refused(send(client, route, archive.getvalue(), "report.docx"), 415)


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((400, 300), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("route", IMAGE_ROUTES)
def test_truncated_image(client: httpx.Client, route: str) -> None:
    refused(send(client, route, jpeg()[:5000]), 422)
    refused(send(client, route, png()[:60]), 422)


@pytest.mark.parametrize("route", VIDEO_ROUTES)
def test_truncated_video(client: httpx.Client, route: str) -> None:
    video = mp4(frames=24)
    refused(send(client, route, video[:200]), 422)
    refused(send(client, route, video[: video.index(b"moov")]), 422)


def docx() -> bytes:
    file = io.BytesIO()
    document = Document()
    document.add_paragraph("A sentence of the report.")
    document.save(file)
    return file.getvalue()


def pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.drawString(100, 700, "A sentence of the report.")
    canvas.save()
    return file.getvalue()


def test_truncated_documents(client: httpx.Client) -> None:
    refused(send(client, "/uploadFile/uploadLearningFile", docx()[:3000]), 422)
    refused(send(client, "/uploadFile/uploadLearningFile", pdf()[:300]), 422)
    refused(send(client, "/uploadFile/uploadLearningFile", jpeg()[:5000]), 422)


def test_encrypted_and_textless_pdf(client: httpx.Client) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file, encrypt=StandardEncryption("secret", canPrint=0))
    canvas.drawString(100, 700, "hidden")
    canvas.save()
    assert "encrypted" in refused(send(client, "/uploadFile/uploadLearningFile", file.getvalue()), 422)
    empty = io.BytesIO()
    canvas = Canvas(empty)
    canvas.rect(10, 10, 100, 100)
    canvas.save()
    for data in (empty.getvalue(), png()):
        assert "no text" in refused(send(client, "/uploadFile/uploadLearningFile", data), 422)


def test_bombs(client: httpx.Client) -> None:
    file = io.BytesIO()
    Image.new("1", (40_000, 20_000)).save(file, "PNG")
    assert len(file.getvalue()) < 200_000
    for route in (*IMAGE_ROUTES, "/uploadFile/uploadLearningFile"):
        assert "pixels" in refused(send(client, route, file.getvalue()), 422)
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx())) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "word/document.xml":
                data = data.replace(b"A sentence", b"A" * 600_000_000)
            target.writestr(name, data)
    assert len(bomb.getvalue()) < 2_000_000
    refused(send(client, "/uploadFile/uploadLearningFile", bomb.getvalue()), 422)


def silent_film() -> bytes:
    return mp4(frames=6, audio=False)


def wav_without_samples() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
    return file.getvalue()


def audio_only_mp4() -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target, av.open(io.BytesIO(tone(1, 48_000))) as source:
        stream = target.add_stream("aac", rate=48_000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return file.getvalue()


def test_a_video_without_frames_and_an_audio_file_without_audio(client: httpx.Client) -> None:
    for route in VIDEO_ROUTES:
        refused(send(client, route, audio_only_mp4()), 422)
    refused(client.post("/v1/asr", content=silent_film()), 422)
    refused(client.post("/v1/asr", content=wav_without_samples()), 422)
    refused(client.post("/v1/asr", content=b"ID3" + bytes(3000)), 422)


def test_categories_beyond_the_limit(client: httpx.Client) -> None:
    for category in ("", "x" * 257):
        answer = client.post(
            "/uploadFile/uploadLearningFile", params={"category": category}, files={"fileToUpload": b"text"}
        )
        assert "category" in refused(answer, 400)
        refused(client.get("/uploadFile/learningFiles", params={"category": category}), 400)
    long = {"messages": [{"content": "hi"}], "category": "x" * 257}
    refused(client.post("/v1/chat/completions", json=long), 400)


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 100_000):
        yield bytes(100_000)


def test_audio_over_the_cap_with_and_without_a_length(client: httpx.Client) -> None:
    refused(client.post("/v1/asr", content=bytes(25_000_001)), 413)
    refused(client.post("/v1/asr", content=chunks(26_000_000)), 413)


def form(size: int) -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    yield png()
    yield from chunks(size)
    yield b"\r\n--b--\r\n"


def test_an_image_over_the_cap_with_and_without_a_length(client: httpx.Client) -> None:
    refused(send(client, "/image/imageToText", png() + bytes(20_000_001)), 413)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused(client.post("/image/imageToText", content=form(21_000_000), headers=headers), 413)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"messages": "hi"}',
        b'{"messages": []}',
        b'{"messages": [{"role": "robot", "content": "hi"}]}',
        b'{"messages": [{"content": 7}]}',
        b'{"messages": [{"content": "hi"}], "temperature": "warm"}',
        b'{"messages": [{"content": "hi"}], "temperature": NaN}',
        b'{"messages": [{"content": "hi"}], "temperature": 2.1}',
        b'{"messages": [{"content": "hi"}], "max_tokens": 0}',
        b'{"messages": [{"content": "hi"}], "max_tokens": 1.5}',
        b'{"messages": [{"content": "hi"}], "max_tokens": Infinity}',
        b'{"messages": [{"content": "hi"}], "stream": "yes"}',
        b'{"messages": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b"[" * 20_000 + b"]" * 20_000,
    ],
    ids=range(18),
)
def test_wrong_json(client: httpx.Client, body: bytes) -> None:
    refused(client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": 7},
        {"prompt": "a pig", "n": 0},
        {"prompt": "a pig", "n": 11},
        {"prompt": "a pig", "size": "big"},
        {"prompt": "a pig", "size": "9x9"},
        {"prompt": "a pig", "size": "9999x9999"},
        {"prompt": "a pig", "seed": -1},
        {"prompt": "a pig", "response_format": "gif"},
    ],
)
def test_invalid_image_requests(client: httpx.Client, body: dict[str, Any]) -> None:
    refused(client.post("/v1/images/generations", json=body), 400)


def edit(client: httpx.Client, image: bytes, mask: bytes = b"", **fields: str) -> httpx.Response:
    files = {"image": image, "mask": mask} if mask else {"image": image}
    return client.post("/v1/images/edits", files=files, data={"prompt": "a pig", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": "  "},
        {"n": "0"},
        {"n": "many"},
        {"size": "big"},
        {"size": "9x9"},
        {"seed": "-1"},
        {"response_format": "gif"},
    ],
)
def test_invalid_edits(client: httpx.Client, fields: dict[str, str]) -> None:
    answer = edit(client, png(), **fields)
    refused(answer, 400)
    assert answer.json()["error"]["param"] == next(iter(fields))


def test_unusable_images_to_edit(client: httpx.Client) -> None:
    refused(client.post("/v1/images/edits"), 400)
    assert "image" in refused(client.post("/v1/images/edits", data={"prompt": "a pig"}, files={"other": png()}), 400)
    assert "prompt" in refused(client.post("/v1/images/edits", files={"image": png()}), 400)
    refused(edit(client, b""), 422)
    refused(edit(client, b"only text"), 415)
    refused(edit(client, png(), b"only text"), 415)
    refused(edit(client, png()[:60]), 422)
    assert "mask" in refused(edit(client, png(), png() + bytes(4_000_001)), 413)
    assert "transparent" in refused(edit(client, png(), png()), 400)


def test_an_engine_that_cannot_edit_says_so(client: httpx.Client) -> None:
    answer = edit(client, png(), n="1", size="auto", response_format="b64_json")
    assert "`engine: diffusers`" in refused(answer, 400)
    assert answer.json()["error"]["code"] == "unsupported_by_engine"


@pytest.mark.parametrize(
    "change",
    [
        {"query": ""},
        {"query": None},
        {"documents": []},
        {"documents": [""]},
        {"documents": [{"title": "x"}]},
        {"documents": ["x"] * 2049},
        {"documents": "x"},
        {"top_n": 0},
        {"return_documents": "yes"},
    ],
)
def test_invalid_reranking_requests(client: httpx.Client, change: dict[str, Any]) -> None:
    message = refused(client.post("/v1/rerank", json={"query": "how heavy?", "documents": ["x"], **change}), 400)
    assert next(iter(change)) in message


def test_reranking_without_a_reranker_says_how_to_configure_one(client: httpx.Client) -> None:
    answer = client.post("/v1/rerank", json={"query": "how heavy?", "documents": ["x"]})
    assert "`reranker: BAAI/bge-reranker-v2-m3`" in refused(answer, 400)
    assert answer.json()["error"]["code"] == "unsupported_by_engine"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("query", ["speed=NaN", "speed=9", "speed=fast", "voice=nobody", "language=xx-YY"])
def test_invalid_speech_requests(client: httpx.Client, query: str) -> None:
    refused(client.get(f"/v1/tts?text=hello&{query}"), 400)


def test_fifty_megabytes_of_json(client: httpx.Client) -> None:
    body = json.dumps({"messages": [{"content": "x" * 50_000_000}]}).encode()
    refused(client.post("/v1/chat/completions", content=body), 413)
    refused(
        client.post(
            "/v1/chat/completions", content=iter([body[i : i + 1_000_000] for i in range(0, 50_000_000, 1_000_000)])
        ),
        413,
    )


def test_a_host_or_origin_of_another_site(client: httpx.Client) -> None:
    for status, headers in (
        (400, {"Host": "evil.example"}),
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://localhost:3000"}),
        (403, {"Sec-Fetch-Site": "cross-site"}),
    ):
        answer = client.post("/v1/images/generations", json={"prompt": "a pig"}, headers=headers)
        refused(answer, status)
        assert "evil.example" not in answer.text
    own = str(client.base_url).rstrip("/")
    assert client.get("/v1/models", headers={"Origin": own}).status_code == 200
    long_id = client.get("/healthz", headers={"x-request-id": "a" * 65}).headers["x-request-id"]
    assert len(long_id) <= 64
    assert client.get("/healthz", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"


def raw_get(graph: RunningGraph, target: str) -> int:
    """A request whose target no client library has tidied up."""
    address = urlsplit(graph.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    "target",
    [
        "/static/../.signing-key",
        "/static/%2e%2e/.signing-key",
        "/static/%2e%2e%2f.signing-key",
        "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/%252e%252e/.signing-key",
        "/static//etc/passwd",
        "/static/video/%00.mp4",
        "/static/..%5c..%5cetc",
        "/sam/..%2f.signing-key",
    ],
)
def test_nothing_outside_is_served(graph: RunningGraph, target: str) -> None:
    assert raw_get(graph, target) in (400, 403, 404)


def test_a_text_too_long_for_an_address(graph: RunningGraph) -> None:
    text = quote("很长的文章。" * 3_000)
    address = urlsplit(graph.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"GET /v1/tts?text={text} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        answer = HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.headers["x-request-id"]
    assert body["status"] == 40000000
    assert "POST /v1/audio/speech" in body["message"]


def test_unknown_routes_and_methods(client: httpx.Client) -> None:
    assert refused(client.get("/v1/nothing"), 404)
    assert client.get("/v1/chat/completions").status_code == 405
    assert client.get("/image/imageToText").status_code == 405
