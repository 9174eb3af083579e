"""What an installation decides about itself, from `SENSORIUM_…` environment variables.

What a capability runs is not here: that is its block in `serve_config.yaml`.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT = Path(__file__).parents[1]

MB = 1_000_000


class Settings(BaseSettings):
    """Settings of one installation. Keys under the application's `args` in the YAML win over the environment."""

    model_config = SettingsConfigDict(env_prefix="SENSORIUM_", extra="forbid", frozen=True)

    data_dir: Path = Field(PROJECT / ".data", description="Folder of everything that is kept locally.")
    store_url: str = Field("", description="Object store: a folder or `s3://bucket/prefix`. Default: in `data_dir`.")
    knowledge_url: str = Field(
        "", description="Knowledge base: a folder or `s3://bucket/prefix`. Default: in `data_dir`."
    )
    jobs_url: str = Field(
        "",
        description="Record of jobs, as SQLAlchemy's URL: `postgresql+psycopg://…` where several machines serve. "
        "Default: an SQLite file in `data_dir`.",
    )
    public_url: str = Field("", description="How clients reach the product. Default: the loopback address and port.")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that clients must send, separated by commas. Without any, only loopback is served."
    )

    max_image_bytes: int = Field(20 * MB, gt=0, description="Largest image that is taken.")
    max_audio_bytes: int = Field(25 * MB, gt=0, description="Largest sound file that is taken.")
    max_document_bytes: int = Field(50 * MB, gt=0, description="Largest document that is taken.")
    max_video_bytes: int = Field(512 * MB, gt=0, description="Largest video that is taken.")
    max_json_bytes: int = Field(4 * MB, gt=0, description="Largest JSON body that is taken.")
    max_pixels: int = Field(50_000_000, gt=0, description="Most pixels an image or video frame may decode to.")
    max_enhance_pixels: int = Field(4_200_000, gt=0, description="Most pixels of an image to be enlarged.")

    signed_url_s: int = Field(7200, gt=0, description="Life of a presigned address.")
    result_ttl_s: int = Field(86_400, gt=0, description="After this, results are deleted and their space reclaimed.")
    max_queued_jobs: int = Field(1000, gt=0, description="Most jobs that may wait; further ones are answered 429.")
    cold_wait_s: float = Field(60, gt=0, description="How long a call waits for a capability that is starting.")
    deadline_s: float = Field(600, gt=0, description="Deadline of a call.")
    video_deadline_s: float = Field(3600, gt=0, description="Deadline of a call that reads or makes a video.")

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @model_validator(mode="before")
    @classmethod
    def _places(cls, values: dict[str, Any]) -> dict[str, Any]:
        data = PROJECT / Path(values.get("data_dir") or PROJECT / ".data").expanduser()
        values["data_dir"] = data
        values["store_url"] = values.get("store_url") or str(data / "store")
        values["knowledge_url"] = values.get("knowledge_url") or str(data / "knowledge")
        values["jobs_url"] = values.get("jobs_url") or f"sqlite:///{data / 'jobs.sqlite'}"
        return values
