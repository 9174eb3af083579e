"""Tracks as MOTChallenge text, https://arxiv.org/abs/1603.00831, one line per object and frame."""

from pipelines.object_tracking.base import Tracks


def mot_lines(frame_number: int, tracks: Tracks) -> str:
    """The lines of one frame: `frame,id,left,top,width,height,score,-1,-1,-1`.

    Args:
        frame_number: from 1.
        tracks: what was tracked in that frame.

    Returns:
        One line per track, each ended by a newline; empty where there is none. Pixels and scores with two decimals,
        pixels counted from 0 as in `Tracks`.
    """
    return "".join(
        f"{frame_number},{identity},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.2f},-1,-1,-1\n"
        for (left, top, right, bottom), identity, score in zip(
            tracks.xyxy.tolist(), tracks.ids.tolist(), tracks.scores.tolist(), strict=True
        )
    )
