"""The YAML files, the code and Serve's schema agree; unknown keys are refused."""

import re
from pathlib import Path

import pytest
import yaml

from deployments import config
from deployments.catalog import BY_DEPLOYMENT
from tests.serving import ROOT

FILES = sorted(ROOT.glob("serve_config*.yaml"))


def names_in(path: Path) -> list[str]:
    return [block["name"] for block in yaml.safe_load(path.read_text())["applications"][0]["deployments"]]


def test_the_files_are_there() -> None:
    assert {"serve_config.yaml", "serve_config.local.yaml"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_valid_and_lists_every_deployment(path: Path) -> None:
    schema = config.read(path)
    assert sorted(block.name for block in schema.applications[0].deployments) == sorted(config.DEPLOYMENTS)


def test_every_block_states_its_resources() -> None:
    for path in FILES:
        for block in yaml.safe_load(path.read_text())["applications"][0]["deployments"]:
            assert {"autoscaling_config", "max_ongoing_requests", "max_queued_requests"} <= set(block), block["name"]
            assert {"num_cpus"} <= set(block["ray_actor_options"]), block["name"]


def edited(tmp_path: Path, change) -> Path:
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    change(raw)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def block(raw: dict, name: str) -> dict:
    return next(b for b in raw["applications"][0]["deployments"] if b["name"] == name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda raw: raw.update(http_option={}), "http_option"),
        (lambda raw: raw["http_options"].update(prot=1), "prot"),
        (lambda raw: raw["applications"][0].update(arg={}), "arg"),
        (lambda raw: raw["applications"][0].update(args={"store": "x"}), "store"),
        (lambda raw: block(raw, "Chat").update(max_ongoing_request=3), "max_ongoing_request"),
        (lambda raw: block(raw, "Chat")["ray_actor_options"].update(num_gpu=1), "num_gpu"),
        (lambda raw: block(raw, "Chat")["autoscaling_config"].update(min_replica=1), "min_replica"),
        (lambda raw: block(raw, "Chat")["user_config"].update(engine="telepathy"), "telepathy"),
        (lambda raw: block(raw, "Chat")["user_config"].update(modell="x"), "modell"),
        (lambda raw: block(raw, "Chat").update(name="Chatt"), "Chatt"),
        (lambda raw: raw["applications"][0]["deployments"].pop(), "deployments"),
    ],
)
def test_typos_are_refused_by_name(tmp_path: Path, change, complaint: str) -> None:
    with pytest.raises(config.ConfigInvalid, match=complaint):
        config.read(edited(tmp_path, change))


def test_a_file_that_is_no_yaml_or_not_there(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(config.ConfigInvalid, match="not valid YAML"):
        config.read(broken)
    with pytest.raises(config.ConfigInvalid, match="No such file"):
        config.read(tmp_path / "none.yaml")


def test_the_gpu_shares_fill_one_card_and_the_table_agrees() -> None:
    text = (ROOT / "serve_config.yaml").read_text()
    blocks = yaml.safe_load(text)["applications"][0]["deployments"]
    shares = {block["name"]: block["ray_actor_options"].get("num_gpus", 0) for block in blocks}
    assert round(sum(shares.values()), 6) <= 1
    table = {
        name: (float(share), float(gb)) for name, share, gb in re.findall(r"# +(\w+) +(0\.\d\d) +([\d.]+) GB", text)
    }
    assert table == {name: (share, round(80 * share, 1)) for name, share in shares.items() if share}
    rarely_used = next(block for block in blocks if block["name"] == "VideoGeneration")
    assert rarely_used["autoscaling_config"]["min_replicas"] == 0


def test_every_model_has_its_license_beside_it() -> None:
    for name in ("serve_config.yaml", "serve_config.cpu.yaml"):
        before = re.findall(r"^      # (.+)\n      - name: (\w+)$", (ROOT / name).read_text(), re.M)
        assert {deployment for _, deployment in before} == set(BY_DEPLOYMENT)
