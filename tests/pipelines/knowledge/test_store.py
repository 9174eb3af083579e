"""The store: atomic, idempotent, safe among processes, searchable at once, deaf to hostile names."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lancedb
import numpy as np
import pytest

from pipelines.contracts.errors import ModelUnavailable
from pipelines.knowledge.index.store import DocumentRecord, KnowledgeStore
from pipelines.knowledge.parsing.chunks import Chunk
from tests.pipelines.knowledge.vectors import DIMENSION, MODEL, put, sha, unit
from tests.pipelines.knowledge.writer import PASSAGES

HOSTILE = ["../../x", "x' OR '1'='1", '"; DROP TABLE passages; --', "猫😀", "a\0b", "%", "\\", "x" * 256]


def opened(url: Path | str) -> KnowledgeStore:
    return KnowledgeStore.open(str(url), model=MODEL, dimension=DIMENSION)


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    return opened(tmp_path / "store")


def writers(url: str, names: Sequence[str], count: int) -> list[subprocess.Popen[str]]:
    """Processes that have the store open."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.pipelines.knowledge.writer", url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, name, str(count)], **pipes) for name in names]
    for process in processes:
        assert process.stdout.readline() == "open\n"
    return processes


def begin(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Let them add, all at once."""
    for process in processes:
        process.stdin.close()


def finish(processes: Sequence[subprocess.Popen[str]]) -> set[str]:
    """What the writers acknowledged."""
    acknowledged = set()
    for process in processes:
        with process:
            acknowledged |= set(process.stdout.read().split())
    return acknowledged


def check_whole(store: KnowledgeStore, acknowledged: set[str]) -> None:
    """Every document that is there is whole and there once, and none that was acknowledged is missing."""
    rows = store._table.to_arrow()
    counts = Counter(rows["document_id"].to_pylist())
    assert set(counts.values()) <= {PASSAGES}
    names = [record.name for record in store.list_documents("crowd")]
    assert len(names) == len(set(names)) == len(counts)
    assert {f"{name}.txt" for name in acknowledged} <= set(names)


def test_add_list_search_delete(store: KnowledgeStore) -> None:
    first = put(store, "a", "one", 3, "the red car")
    put(store, "a", "two", 2, "a blue house")
    put(store, "b", "three", 2, "the red car")
    assert [(r.name, r.passages, r.pages, r.bytes) for r in store.list_documents("a")] == [
        ("one.txt", 3, 3, 100),
        ("two.txt", 2, 2, 100),
    ]
    hits = store.search("a", "red car", None, 10)
    assert {hit.document for hit in hits} == {"one.txt"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 < hit.score <= 1 and hit.text == f"the red car {hit.page - 1} of one" for hit in hits)
    by_meaning = store.search("a", "zzz", unit(2), 1)
    assert by_meaning[0].text == "the red car 2 of one"
    assert not store.delete_document("b", first.id), "another category's document"
    assert store.delete_document("a", first.id)
    assert not store.delete_document("a", first.id)
    assert store.search("a", "red car", None) == []
    assert len(store.search("b", "red car", None)) == 2


def test_same_file_again_changes_nothing(store: KnowledgeStore) -> None:
    first = put(store, "a", "one")
    version = store._table.count_rows()
    time.sleep(1.1)
    assert put(store, "a", "one", 7) == first
    assert store._table.count_rows() == version
    assert put(store, "b", "one").id != first.id
    assert store.find("a", sha("one")) == first
    assert store.find("a", sha("two")) is None


def version(store: KnowledgeStore, text: str, name: str = "prices.txt", category: str = "a") -> DocumentRecord:
    """Add a version of a document."""
    chunks = [Chunk(None, f"{text} {index}", index) for index in range(3)]
    vectors = np.stack([unit(index) for index in range(3)])
    return store.add(category, name, sha(text), chunks, vectors, pages=1, size_bytes=9, not_read=["1 picture"])


def texts(store: KnowledgeStore, category: str = "a") -> set[str]:
    return {hit.text for hit in store.search(category, "boat", unit(0), 20)}


@pytest.mark.parametrize("name", ["prices.txt", *HOSTILE])
def test_a_new_version_replaces_the_old_one_in_one_commit(store: KnowledgeStore, name: str) -> None:
    version(store, "boat 2400", name)
    version(store, "boat elsewhere", name, category="b")
    version(store, "boat of another name", "other.txt")
    before = store._table.version
    newest = version(store, "boat 3100", name)
    assert store._table.version == before + 1
    assert [one for one in store.list_documents("a") if one.name == name] == [newest]
    assert newest.not_read == ("1 picture",)
    assert {text[:-2] for text in texts(store)} == {"boat 3100", "boat of another name"}
    assert len(texts(store, "b")) == 3
    assert version(store, "boat 2400", name).id != newest.id, "and the first one may come back"
    assert {text[:-2] for text in texts(store)} == {"boat 2400", "boat of another name"}


def test_documents_without_a_name_replace_none(store: KnowledgeStore) -> None:
    version(store, "boat 1", "")
    version(store, "boat 2", "")
    assert [one.name for one in store.list_documents("a")] == ["document", "document"]


def test_of_versions_that_are_added_at_once_one_stays(tmp_path: Path) -> None:
    stores = [opened(tmp_path / "s") for _ in range(3)]
    for round in range(3):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda index: version(stores[index], f"boat {round} {index % 2}"), range(3)))  # noqa: B023
        assert len(stores[0].list_documents("a")) == 1
        counts = Counter(stores[0]._table.to_arrow()["document_id"].to_pylist())
        assert list(counts.values()) == [3], "whole, and there once"


def test_a_table_of_the_first_release_gains_its_column(tmp_path: Path) -> None:
    put(opened(tmp_path / "s"), "a", "one")
    lancedb.connect(tmp_path / "s").open_table("passages").drop_columns(["not_read"])
    store = opened(tmp_path / "s")
    assert [one.not_read for one in store.list_documents("a")] == [()]
    version(store, "boat")
    assert [one.not_read for one in opened(tmp_path / "s").list_documents("a")] == [(), ("1 picture",)]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(store: KnowledgeStore, name: str) -> None:
    put(store, "other", "secret", text="the red car")
    record = put(store, name, name, text="a blue house")
    assert [found.category for found in store.list_documents(name)] == [name]
    assert {hit.document for hit in store.search(name, "red car blue house", unit(0), 20)} == {f"{name}.txt"}
    store.search("other", name, unit(0))
    assert not store.delete_document("other", name)
    assert not store.delete_document(name, "' OR true OR '")
    assert store.delete_document(name, record.id)
    assert len(store.list_documents("other")) == 1


def test_found_at_once_by_other_processes(tmp_path: Path) -> None:
    writer, reader = opened(tmp_path / "s"), opened(tmp_path / "s")
    for index in range(4):
        put(writer, "a", f"document{index}", text=f"Zeichen{index} 字符{index}号")
        if index == 1:
            writer.maintain()
        assert reader.search("a", f"zeichen{index}", None)[0].document == f"document{index}.txt"
        assert reader.search("a", f"document{index} 字符", unit(0), 1)[0].document == f"document{index}.txt"


def test_a_large_category_is_indexed_and_a_small_one_beside_it_complete(
    store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.knowledge.index.store.MIN_INDEXED", 3_000)
    vectors = np.stack([unit(seed) for seed in range(4_000)])
    chunks = [Chunk(1, f"word{index}", index) for index in range(4_000)]
    store.add("large", "l.txt", sha("l"), chunks, vectors, pages=1, size_bytes=1)
    put(store, "small", "before", 5)
    store.maintain()
    put(store, "small", "after", 5)
    assert "vector" in {column for index in store._table.list_indices() for column in index.columns}
    recalled = 0
    for seed in range(20):
        question = unit(100_000 + seed)
        nearest = set(np.argsort(-(vectors @ question))[:10])
        recalled += len(nearest & {int(hit.text[4:]) for hit in store.search("large", "", question, 10)})
        small = store.search("small", "passage", question, 20)
        assert len(small) == 10, "all of a small category is looked at"
    print(f"recall at 10 with the index: {recalled / 200:.2f}")
    assert recalled >= 180


def test_another_model_is_refused(tmp_path: Path, store: KnowledgeStore) -> None:
    put(store, "a", "one")
    url = str(tmp_path / "store")
    for model, dimension in (("other", DIMENSION), (MODEL, 16)):
        with pytest.raises(ModelUnavailable, match=rf"{MODEL} \(8 .*{model} \({dimension}\)"):
            KnowledgeStore.open(url, model=model, dimension=dimension)
    assert len(opened(url).list_documents("a")) == 1


def test_a_place_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelUnavailable):
        opened(tmp_path / "file")


def test_processes_at_once_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Three processes add, partly the same documents, while this one deletes others and tidies up."""
    url = str(tmp_path / "new")
    starting = writers(url, ["a", "b", "c"], 5)  # the table, too, is made by whoever comes first
    store = opened(url)
    doomed = [put(store, "crowd", f"doomed-{index}", PASSAGES) for index in range(3)]
    begin(starting)
    for record in doomed:
        assert store.delete_document("crowd", record.id)
    while any(process.poll() is None for process in starting):
        store.maintain()  # the index covers what was just added: that, too, must not hide a document from its twin
        time.sleep(0.1)
    acknowledged = finish(starting)
    assert [process.returncode for process in starting] == [0, 0, 0]
    assert len(acknowledged) == 5 + 3 * 5
    check_whole(store, acknowledged)
    assert len(store.list_documents("crowd")) == 5 + 3 * 5


def test_killed_at_any_instant_leaves_whole_documents(tmp_path: Path) -> None:
    url, dice = str(tmp_path / "s"), random.Random(3)
    processes = writers(url, ["a", "b", "c"], 10_000)
    begin(processes)
    for process in processes:
        time.sleep(dice.uniform(0.3, 1.2))
        process.send_signal(signal.SIGKILL)
    acknowledged = finish(processes)
    print(f"{len(acknowledged)} documents acknowledged before 3 kills")
    assert acknowledged
    store = opened(url)
    check_whole(store, acknowledged)
    put(store, "crowd", "after", PASSAGES)
    check_whole(store, acknowledged | {"after"})


def test_chinese_by_words(store: KnowledgeStore) -> None:
    texts = [
        "公司的营业收入为三亿元，同比增长百分之十二。",
        "会议室在三楼，早上九点开门。",
        "服务器每天凌晨两点自动备份。",
    ]
    chunks = [Chunk(None, text, index) for index, text in enumerate(texts)]
    store.add("中文", "手册.txt", sha("手册"), chunks, np.stack([unit(i) for i in range(3)]), pages=1, size_bytes=1)
    for question, position in (("营业收入是多少？", 0), ("会议室在哪里？", 1), ("服务器什么时候备份？", 2), ("楼", 1)):
        best = store.search("中文", question, None)[0]
        assert (best.text, best.score > 0.5) == (texts[position], True), question
    assert store.search("中文", "足球世界杯", None) == []


def test_owners_share_no_category(store: KnowledgeStore) -> None:
    put(store, "plans", "ours", text="lighthouse")
    alice, bob = store.of("alice"), store.of("bob")
    put(alice, "plans", "hers", text="lighthouse")
    put(alice, "plans", "ours", text="lighthouse")
    assert bob.list_documents("plans") == []
    assert bob.search("plans", "lighthouse", unit(0)) == []
    assert {one.name for one in alice.list_documents("plans")} == {"hers.txt", "ours.txt"}
    assert {hit.document for hit in store.search("plans", "lighthouse", unit(0))} == {"ours.txt"}
    assert (store.stored_bytes(), alice.stored_bytes(), bob.stored_bytes()) == (100, 200, 0)
    [own] = store.list_documents("plans")
    assert not alice.delete_document("plans", own.id)
    assert {own.id} == {one.id for one in store.of("default").list_documents("plans")}
    # no name of a category leads to another's
    for name in ("aliceplans", "alice\0plans", "alice:plans", "alice\xffplans"):
        assert store.list_documents(name) == []
        assert bob.list_documents(name) == []
