"""Settings of the gateway; the one place where its process reads the environment (FRAMELENS_...)."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from framelens_gateway.index_types import IndexSettings, IndexType


def _without_user(uri: str) -> str:
    # The URI is printed and logged.
    if "@" in urlsplit(uri).netloc:
        raise ValueError("a user and password do not belong in the URI; set FRAMELENS_MILVUS_TOKEN to user:password")
    return uri


class GatewaySettings(BaseSettings):
    """Where the gateway listens, what it talks to, and its limits; every field is also a flag."""

    model_config = SettingsConfigDict(
        env_prefix="FRAMELENS_", frozen=True, extra="forbid", cli_kebab_case=True, cli_implicit_flags=True
    )

    host: str = Field("127.0.0.1", description="address of the gRPC and the HTTP endpoint")
    grpc_port: int = Field(50051, ge=1, le=65535)
    http_port: int = Field(8080, ge=1, le=65535)
    tokens: list[Annotated[SecretStr, Field(min_length=1)]] = Field(
        [], description='bearer tokens that are let in, as a JSON list such as `["TOKEN"]`; none lets everybody in'
    )

    triton_address: str = Field("127.0.0.1:8001", description="Triton's gRPC endpoint")
    milvus_uri: Annotated[str, AfterValidator(_without_user)] = Field(
        "http://127.0.0.1:19530", description="without user and password, for which there is milvus_token", repr=False
    )
    milvus_token: SecretStr = Field(SecretStr(""), description="Milvus `user:password` or API key")

    detector: str = Field("detector", description="detector model that finds objects in frames")
    default_space: str = Field(
        "embedder_effnet_lite0", description="embedder model of a collection that the gateway has to create"
    )
    index_type: IndexType = Field("HNSW", description="index of a collection that the gateway has to create")
    index_parameters: dict[str, int | str] = Field(
        {}, description='what an index of that type is built with, as Milvus names it, such as `{"M": 32}`'
    )
    search_parameters: dict[str, int | str] = Field(
        {}, description='what an index of that type is searched with, such as `{"ef": 128}`'
    )
    unnamed_boxes: int = Field(
        3,
        ge=0,
        le=32,
        description="boxes of a frame in which products without a label are looked for; 0 looks for none",
    )
    unnamed_false_alarms: float = Field(
        0.02, gt=0, lt=1, description="share of frames without product that may have a false match by them"
    )
    routing_file: Path | None = Field(None, description="label routing, YAML; the packaged defaults when absent")
    moments_file: Path | None = Field(
        None, description="when the feed offers recognition, YAML; the packaged policy when absent"
    )
    crops_dir: Path = Field(
        Path("var/crops"), description="where the crop of every indexed picture is kept; gateways share one"
    )
    videos_dir: Path = Field(
        Path("var/videos"), description="where it is kept what is in view in every video; gateways share one"
    )
    video_dirs: list[Path] = Field(
        [], description="folders whose videos IndexVideo may read by path, as a JSON list; none by itself"
    )
    samples_dir: Path | None = Field(
        None, description="sample pictures and videos that the page offers; none when absent"
    )

    max_in_flight: int = Field(64, ge=1, description="searches in flight; more are shed")
    max_streams: int = Field(64, ge=1, description="streams of frames that are open; more are shed")
    max_stream_in_flight: int = Field(
        16, ge=1, description="frames of one stream under way; its next is read when one is answered"
    )
    max_catalog_in_flight: int = Field(4, ge=1, description="writes to the catalogue in flight; more are shed")
    max_catalog_reads_in_flight: int = Field(8, ge=1, description="reads of the catalogue in flight; more are shed")
    max_videos_in_flight: int = Field(2, ge=1, description="videos indexed at once; more are shed")
    max_moments_in_flight: int = Field(64, ge=1, description="calls for moments in flight; more are shed")
    max_picture_bytes: int = Field(20 * 2**20, ge=1024)
    max_picture_pixels: int = Field(50_000_000, ge=1024)
    max_video_bytes: int = Field(2 * 2**30, ge=1024)
    video_min_gap_s: float = Field(
        0.3, gt=0, description="seconds of a video between two looks while something moves in it"
    )
    video_max_gap_s: float = Field(2.0, gt=0, description="the same while nothing moves")
    max_message_bytes: int = Field(64 * 2**20, ge=2**20, description="one gRPC message or HTTP body")

    cache_mib: int = Field(
        256, ge=0, description="memory for what was found in frames; 0 gives no answer again, from no cache"
    )
    cache_frames_s: float = Field(
        3600.0, gt=0, description="how long what was found in a frame is given again by the engines that found it"
    )
    cache_engines_s: float = Field(0.5, gt=0, description="how soon a new engine version is followed, at most")
    cache_searches_s: float = Field(
        1.0, gt=0, description="how long hits are given again; a write ends it at once, another gateway's by then"
    )

    default_deadline_s: float = Field(10.0, gt=0, description="for callers that name none")
    catalog_deadline_s: float = Field(120.0, gt=0, description="for catalogue calls that name none")
    max_deadline_s: float = Field(300.0, gt=0, description="one call, at most; longer deadlines are cut to this")
    read_timeout_s: float = Field(30.0, gt=0, description="how long a caller may take to send its request")
    milvus_timeout_s: float = Field(5.0, gt=0, description="one call to Milvus, at most")
    alias_ttl_s: float = Field(0.5, gt=0, description="how soon an alias switch is followed, at most")
    flush_after_s: float = Field(1.0, gt=0, description="quiet time after writes before they are flushed")
    candidate_timeout_s: float = Field(2.0, gt=0, description="for one answer of a candidate that is tried, at most")
    max_shadows: int = Field(2, ge=1, description="requests in flight to a shadow candidate; more are dropped")
    shadow_max_load: float = Field(
        0.1, gt=0, le=1, description="share of max_in_flight above which a shadow candidate gets nothing"
    )
    shutdown_grace_s: float = Field(10.0, gt=0, description="how long calls in flight may finish at shutdown")

    otlp_endpoint: str | None = Field(
        None, description="collector of traces (OTLP over HTTP), such as http://127.0.0.1:4318"
    )
    trace_share: float = Field(
        1.0, ge=0, le=1, description="share of calls that are traced, of those whose callers do not say"
    )

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    print_config: bool = Field(False, description="print these settings (secrets masked) and exit")

    @model_validator(mode="after")
    def _index_parameters_fit(self) -> Self:
        self.index.check()
        return self

    @property
    def index(self) -> IndexSettings:
        return IndexSettings(self.index_type, self.index_parameters, self.search_parameters)
