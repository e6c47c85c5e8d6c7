"""Settings of the embedded stack; the one place where its process reads the environment (FRAMELENS_STACK_...)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StackSettings(BaseSettings):
    """What the stack runs and where; every field is also a flag. The gateway's own settings pass through to it."""

    model_config = SettingsConfigDict(
        env_prefix="FRAMELENS_STACK_", frozen=True, extra="forbid", cli_kebab_case=True, cli_implicit_flags=True
    )

    server_env: Path = Field(Path(".venv/server"), description="virtual environment that holds framelens-triton")
    model_repository: Path = Path("model_repository")
    var_dir: Path = Field(Path("var"), description="holds serve.json, logs, and the index and crops")
    samples_dir: Path = Field(
        Path("var/samples"), description="sample pictures and videos that the page offers, where there is such a folder"
    )
    host: str = Field("127.0.0.1", description="where the gateway listens; Triton and Milvus stay on loopback")
    grpc_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    http_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    otlp_endpoint: str | None = Field(
        None,
        description="collector of the gateway's and Triton's traces (OTLP over HTTP), such as http://127.0.0.1:4318",
    )
    start_timeout_s: float = Field(120.0, gt=0)
    stop_timeout_s: float = Field(20.0, gt=0)
    print_config: bool = Field(False, description="print these settings and exit")
