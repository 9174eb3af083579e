"""Settings of an installation, from `SENSORIUM_…` environment variables.

Which engine a capability runs is not a setting: that is in its block of `serve_config.yaml`.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipelines.loading.lock import LOCK_NAME

PROJECT = Path(__file__).parents[1]

MB = 1_000_000


class Settings(BaseSettings):
    """Settings of one installation. Keys under the application's `args` in the YAML override the environment."""

    model_config = SettingsConfigDict(env_prefix="SENSORIUM_", extra="forbid", frozen=True)

    data_dir: Path = Field(PROJECT / ".data", description="Folder for all local data.")
    store_url: str = Field("", description="Object store: a folder or `s3://bucket/prefix`. Default: in `data_dir`.")
    knowledge_url: str = Field(
        "", description="Knowledge base: a folder or `s3://bucket/prefix`. Default: in `data_dir`."
    )
    jobs_url: str = Field(
        "",
        description="Job database, as an SQLAlchemy URL: `postgresql+psycopg://…` for several machines. "
        "Default: an SQLite file in `data_dir`.",
    )
    models_lock: Path = Field(
        PROJECT / LOCK_NAME,
        description="The lock that names each model's commit; `make run` takes the one beside its configuration.",
    )
    public_url: str = Field("", description="URL that clients use. Default: the loopback address and port.")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="API keys of the principal `default`, separated by commas."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Host names of this server, separated by commas, besides `public_url`'s and loopback."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call with an API key from a browser, separated by commas."
    )

    oidc_issuer: str = Field("", description="OpenID Connect issuer whose bearer tokens are accepted.")
    oidc_audience: str = Field("", description="Audience that these tokens must be for.")

    max_image_bytes: int = Field(20 * MB, gt=0, description="Maximum size of an image.")
    max_audio_bytes: int = Field(25 * MB, gt=0, description="Maximum size of an audio file.")
    max_document_bytes: int = Field(50 * MB, gt=0, description="Maximum size of a document.")
    max_video_bytes: int = Field(512 * MB, gt=0, description="Maximum size of a video.")
    max_json_bytes: int = Field(4 * MB, gt=0, description="Maximum size of a JSON body.")
    max_pixels: int = Field(50_000_000, gt=0, description="Maximum decoded pixels per image.")
    max_video_pixels: int = Field(8_847_360, gt=0, description="Maximum pixels of a video's frame: 4096×2160.")
    max_video_s: float = Field(1800, gt=0, description="Maximum length of a video.")
    max_frames: int = Field(108_000, gt=0, description="Maximum frames of a video: 30 minutes at 60 a second.")
    max_enhance_pixels: int = Field(4_200_000, gt=0, description="Maximum pixels of an image to enhance.")

    signed_url_s: int = Field(7200, gt=0, description="Lifetime of a presigned URL.")
    result_ttl_s: int = Field(86_400, gt=0, description="Time after which results and ended jobs are deleted.")
    max_queued_jobs: int = Field(1000, gt=0, description="Maximum queued jobs; more are answered with 429.")
    cold_wait_s: float = Field(60, gt=0, description="How long a call waits for a capability that is starting.")
    deadline_s: float = Field(600, gt=0, description="Deadline of a call.")
    video_deadline_s: float = Field(3600, gt=0, description="Deadline of a call that reads or generates a video.")

    @field_validator("api_keys", "allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(each.strip() for each in value.split(",") if each.strip())
        return value

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise ValueError("SENSORIUM_OIDC_ISSUER and SENSORIUM_OIDC_AUDIENCE go together.")
        return self

    @model_validator(mode="before")
    @classmethod
    def _default_urls(cls, values: dict[str, Any]) -> dict[str, Any]:
        data = PROJECT / Path(values.get("data_dir") or PROJECT / ".data").expanduser()
        values["data_dir"] = data
        values["store_url"] = values.get("store_url") or str(data / "store")
        values["knowledge_url"] = values.get("knowledge_url") or str(data / "knowledge")
        values["jobs_url"] = values.get("jobs_url") or f"sqlite:///{data / 'jobs.sqlite'}"
        return values
