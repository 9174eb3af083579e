"""`serve_config*.yaml`, read strictly: Serve ignores unknown keys, so that a typo would go unnoticed."""

import shlex
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ray.runtime_env import RuntimeEnv
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import HTTPOptionsSchema, RayActorOptionsSchema, ServeDeploySchema

from deployments.catalog import BY_DEPLOYMENT
from deployments.settings import PROJECT, Settings
from pipelines.contracts.engine import EngineConfig

IMPORT_PATH = "deployments.graph:build"
DEPLOYMENTS = ("Ingress", "Jobs", *BY_DEPLOYMENT)


class ConfigInvalid(ValueError):
    """The file is invalid; the message lists its errors, one per line."""


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


def _only_known(values: dict[str, Any], model: type[BaseModel], name: str) -> None:
    if unknown := set(values) - set(model.model_fields):
        raise ValueError(f"unknown keys in {name}: {', '.join(sorted(unknown))}")


class Block(Strict):
    """One deployment. `num_gpus` and `num_cpus` go into `ray_actor_options`."""

    name: str
    autoscaling_config: dict[str, Any]
    max_ongoing_requests: int = Field(gt=0)
    max_queued_requests: int = Field(gt=0)
    ray_actor_options: dict[str, Any]
    user_config: dict[str, Any] | None = None
    backpressure_config: dict[str, Any] | None = None
    health_check_period_s: float | None = None
    health_check_timeout_s: float | None = None
    graceful_shutdown_timeout_s: float | None = None
    graceful_shutdown_wait_loop_s: float | None = None
    max_replicas_per_node: int | None = None

    @model_validator(mode="after")
    def _known(self) -> "Block":
        if self.name not in DEPLOYMENTS:
            raise ValueError(f"unknown deployment {self.name}")
        _only_known(self.ray_actor_options, RayActorOptionsSchema, "ray_actor_options")
        _only_known(self.autoscaling_config, AutoscalingConfig, "autoscaling_config")
        self._check_environment()
        if self.name in BY_DEPLOYMENT:
            BY_DEPLOYMENT[self.name].parse(self.user_config)
        return self

    def _check_environment(self) -> None:
        environment = self.ray_actor_options.get("runtime_env") or {}
        if unknown := set(environment) - RuntimeEnv.known_fields:
            raise ValueError(f"unknown keys in runtime_env: {', '.join(sorted(unknown))}")
        executable = environment.get("py_executable", "")
        if _is_in_project(executable) and not (PROJECT / executable).is_file():
            raise ValueError(f"{executable} does not exist")  # Ray would wait for it forever


class ApplicationBlock(Strict):
    """The application, with every deployment once."""

    name: str
    route_prefix: str
    import_path: str
    args: dict[str, Any] = Field(default_factory=dict)
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    deployments: list[Block]

    @model_validator(mode="after")
    def _complete(self) -> "ApplicationBlock":
        names = [block.name for block in self.deployments]
        if sorted(names) != sorted(DEPLOYMENTS):
            raise ValueError(f"deployments must be {', '.join(DEPLOYMENTS)}, each once")
        if self.import_path != IMPORT_PATH:
            raise ValueError(f"import_path must be {IMPORT_PATH}")
        Settings(**self.args)
        return self


class ServeConfig(Strict):
    """The whole file."""

    proxy_location: str
    http_options: dict[str, Any]
    applications: list[ApplicationBlock] = Field(min_length=1, max_length=1)
    logging_config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _known(self) -> "ServeConfig":
        _only_known(self.http_options, HTTPOptionsSchema, "http_options")
        return self


def _is_in_project(executable: str) -> bool:
    """Whether it is a relative path, and not the name of a command."""
    return "/" in executable and not executable.startswith("/")


def _resolve_executables(raw: dict[str, Any]) -> None:
    """Make relative paths absolute: Ray would resolve them from where it was started. Quoted, as Ray uses a shell."""
    for block in raw["applications"][0]["deployments"]:
        environment = block["ray_actor_options"].get("runtime_env") or {}
        if _is_in_project(executable := environment.get("py_executable", "")):
            environment["py_executable"] = shlex.quote(str(PROJECT / executable))


def _message(error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"])
    found = error["input"]
    given = f" (it is {found!r})" if isinstance(found, str | int | float | bool) else ""
    return f"{location}: {error['msg']}{given}"


def read(path: Path) -> ServeDeploySchema:
    """Read and check one file.

    Raises:
        ConfigInvalid: not YAML, unknown or missing keys, or a `user_config` that its engine refuses.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        ServeConfig.model_validate(raw)
        _resolve_executables(raw)
        return ServeDeploySchema.model_validate(raw)
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigInvalid(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [_message(each) for each in error.errors(include_url=False)]
        raise ConfigInvalid("\n".join([f"{path} is invalid:", *lines])) from error


def chosen_engines(schema: ServeDeploySchema) -> dict[str, EngineConfig]:
    """The engine that each capability is configured with, by the deployment's name."""
    blocks = {block.name: block.user_config for block in schema.applications[0].deployments}
    return {name: entry.parse(blocks[name]) for name, entry in BY_DEPLOYMENT.items()}
