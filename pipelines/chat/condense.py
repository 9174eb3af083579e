"""Follow-up questions for retrieval: the language model itself rewrites "and in 2023?" into a standalone question.

The rewrite is only as good as the model. Only the last turns are shown to it, the beginning of each.
"""

from contextlib import aclosing

from pipelines.chat.base import ChatModel, ChatRequest, Message

MAX_TURNS = 6
MAX_TURN_CHARACTERS = 500
MAX_TOKENS = 100
_PROMPT = """\
Rewrite the last question of the conversation below as a standalone question, for a search in documents. Put in what \
it refers to; keep its language. Do not answer it. Reply with the question alone.

{conversation}

Last question: {question}"""


async def condense(model: ChatModel, messages: tuple[Message, ...]) -> str:
    """The last user turn as a standalone question.

    The model is asked only if there is an earlier user turn. Its errors are those of `ChatModel.stream`.

    Returns:
        What the model writes; the last user turn itself if that is nothing; "" without a user turn.
    """
    turns = [message for message in messages if message.role in ("user", "assistant")]
    asked = [index for index, turn in enumerate(turns) if turn.role == "user"]
    question = turns[asked[-1]].content if asked else ""
    if len(asked) < 2:
        return question
    earlier = turns[: asked[-1]][-MAX_TURNS:]
    conversation = "\n".join(f"{turn.role.capitalize()}: {turn.content[:MAX_TURN_CHARACTERS]}" for turn in earlier)
    prompt = Message("user", _PROMPT.format(conversation=conversation, question=question))
    async with aclosing(model.stream(ChatRequest((prompt,), temperature=0, max_tokens=MAX_TOKENS))) as deltas:
        rewritten = "".join([delta.text async for delta in deltas])
    return rewritten.strip() or question
