"""Settings of the embedded Triton; the one place where its process reads the environment (FRAMELENS_TRITON_...)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TritonSettings(BaseSettings):
    """Where the embedded Triton listens and what it serves; every field is also a flag."""

    model_config = SettingsConfigDict(
        env_prefix="FRAMELENS_TRITON_",
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
    )

    model_repository: Path = Field(Path("model_repository"), description="Triton model repository")
    model_config_name: str | None = Field(
        None, description="NAME: models that have `configs/NAME.pbtxt` take it in place of `config.pbtxt`"
    )
    work_dir: Path = Field(Path("var/triton"), description="where the backend directory is laid out")
    host: str = Field("127.0.0.1", description="address of all three endpoints; Triton has no authentication")
    grpc_port: int = Field(8001, ge=1, le=65535)
    http_port: int = Field(8000, ge=1, le=65535)
    metrics_port: int = Field(8002, ge=1, le=65535)
    exit_timeout_s: int = Field(10, ge=1, description="how long requests in flight may finish at shutdown")
    otlp_endpoint: str | None = Field(
        None, description="collector of the traces that callers began (OTLP over HTTP), such as http://127.0.0.1:4318"
    )
    log_verbose: int = Field(0, ge=0, le=2)
    print_config: bool = Field(False, description="print these settings and exit")
