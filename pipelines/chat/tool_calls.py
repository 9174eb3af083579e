"""Tool calls that are streamed in pieces, joined."""

from collections.abc import Iterable
from typing import Any


def join_tool_calls(pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole tool calls from the pieces of a stream, in their order.

    Args:
        pieces: as OpenAI streams them: `index` says which call a piece belongs to; `function.arguments` are
            concatenated, every other key comes once. A piece without an index is a separate call.
    """
    calls: dict[object, dict[str, Any]] = {}
    for piece in pieces:
        keys = {key: value for key, value in piece.items() if key not in ("index", "function")}
        function = piece.get("function") or {}
        call = calls.setdefault(piece.get("index", object()), {"type": "function", "function": {"arguments": ""}})
        arguments = call["function"]["arguments"] + (function.get("arguments") or "")
        call.update(keys)
        call["function"].update({**function, "arguments": arguments})
    return list(calls.values())
