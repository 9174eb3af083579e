"""Another client of the graph, whose small calls go on being answered whatever is done to it."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

PATIENCE_S = 6.0 if os.environ.get("CI") == "true" else 2.0


def ask_health(client: httpx.Client) -> httpx.Response:
    """The smallest call."""
    return client.get("/healthz")


@contextmanager
def bystander(url: str, *asks: Callable[[httpx.Client], httpx.Response]) -> Iterator[None]:
    """Make small calls again and again meanwhile, one of `asks` after the other or `ask_health`.

    At the end every answer must have been a 200 within `PATIENCE_S`.
    """
    done = threading.Event()
    took_s: list[float] = []
    failures: list[str] = []

    def call_again() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for ask in itertools.cycle(asks or (ask_health,)):
                if done.is_set():
                    break
                began_s = time.monotonic()
                try:
                    answer = ask(client)
                    if answer.status_code != 200:
                        failures.append(answer.text)
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                took_s.append(time.monotonic() - began_s)
                done.wait(0.1)

    thread = threading.Thread(target=call_again)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    print(f"bystander: {len(took_s)} calls, the slowest took {max(took_s):.2f} s")
    assert not failures, failures[0]
    assert max(took_s) <= PATIENCE_S
