"""The child process that parses one document: its standard input is the file, its output one JSON message a line.

Messages: `{"pages": n}` once if known; for each page `{"blocks": [[kind, text], …]}`, a part of it each time, then
`{"number": n}`; `{"not_read": what}` for what the parser leaves out; then `{"end": true}` or
`{"refused": an error's code, "message"}`. A process that ends without one of these two died on the file.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pipelines.contracts.errors import SensoriumError, UnusableMedia
from pipelines.knowledge.parsing.clean import clean
from pipelines.knowledge.parsing.documents import Parsed, ReadLimits

_MAX_NOT_READ = 200
_BLOCKS_AT_ONCE = 500  # whoever decodes them holds up its other threads


def main() -> None:
    """Parse standard input."""
    kind, limits = sys.argv[1], ReadLimits(**json.loads(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        for message in _messages(kind, sys.stdin.buffer, limits):
            _say(message)
        _say({"end": True})
    except SensoriumError as error:
        _say({"refused": error.code, "message": error.message})
    except MemoryError:
        _say({"refused": UnusableMedia.code, "message": "Reading the document takes too much memory."})


def _messages(kind: str, file: BinaryIO, limits: ReadLimits) -> Iterator[dict[str, Any]]:
    characters = 0
    for message in _parser(kind)(file, limits):
        if isinstance(message, int):
            yield {"pages": message}
            continue
        if isinstance(message, str):
            yield {"not_read": clean(message)[:_MAX_NOT_READ]}
            continue
        number, blocks = message
        cleaned = [(block_kind, text) for block_kind, raw in blocks if (text := clean(raw))]
        characters += sum(len(text) for _, text in cleaned)
        if characters > limits.characters:
            raise UnusableMedia(f"The document exceeds the limit of {limits.characters:,} characters.")
        for start in range(0, len(cleaned), _BLOCKS_AT_ONCE):
            yield {"blocks": cleaned[start : start + _BLOCKS_AT_ONCE]}
        yield {"number": number}


def _parser(kind: str) -> Callable[[BinaryIO, ReadLimits], Iterator[Parsed]]:
    if kind == "pdf":
        from pipelines.knowledge.parsing import pdf

        return pdf.parse
    if kind == "zip":
        from pipelines.knowledge.parsing import package

        return package.parse
    if kind == "rtf":
        from pipelines.knowledge.parsing import rtf

        return rtf.parse
    if kind == "txt":
        from pipelines.knowledge.parsing import text

        return text.parse
    from pipelines.knowledge.parsing import image

    return image.parse


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201  (standard output is the protocol)


if __name__ == "__main__":
    main()
