"""A process that adds documents, and says which are in: `python -m tests.pipelines.knowledge.writer URL NAME COUNT`.

Documents `common-N` are added by every writer, `NAME-N` only by this one. It begins when its standard input is closed.
"""

import sys

from pipelines.knowledge.index.store import KnowledgeStore
from tests.pipelines.knowledge.vectors import DIMENSION, MODEL, put

PASSAGES = 40


def main() -> None:
    url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = KnowledgeStore.open(url, model=MODEL, dimension=DIMENSION)
    print("open", flush=True)
    sys.stdin.read()
    for index in range(count):
        for document in (f"common-{index}", f"{name}-{index}"):
            put(store, "crowd", document, PASSAGES)
            print(document, flush=True)


if __name__ == "__main__":
    main()
