"""What a report cannot know: each with its default, where that comes from, and a name to replace it by."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens_perf.sizing.failures import SizingError
from framelens_perf.sizing.report import Count, NotNegative, Positive


class Assumptions(BaseModel):
    """Milliseconds of a CPU core or of a GPU unless a name says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures_per_product: Positive = Field(1.0, description="rows in the index for each product; assumed")
    dimensions: Count = Field(1280, description="numbers in a vector; the default embedder's")
    frame_kb: Positive = Field(
        129.0, description="a frame's bytes; mean of 20 of feed_frames() (720 x 1280 JPEGs of quality 80)"
    )
    # Milvus Lite.
    lite_rows_most: Count = Field(
        20_000, description="above this Milvus, not Milvus Lite, which does work in Python for every row"
    )
    lite_ms_per_1000_rows: NotNegative = Field(
        0.63, description="what a call grows by; milvus-lite 3.2.2: 6 ms at 10,000 rows, 55 to 70 ms at 100,000"
    )
    lite_query_ms: NotNegative = Field(
        0.5, description="each further vector of a call; assumed: a call of 32 cost hardly more than one of 1"
    )
    # Milvus.
    milvus_call_ms: NotNegative = Field(
        4.0, description="a call's way, no core's; milvus 2.3.5: 4 ms for one vector of 256 among 100,000"
    )
    milvus_query_ms: Positive = Field(
        2.0,
        description="one vector in a segment of 100,000 rows; assumed: HNSW's ef 64 x 32 neighbours x 5 KB at 5 GB/s",
    )
    segment_gib: Positive = Field(1.0, description="vectors of a sealed segment; Milvus' dataCoord.segment.maxSize")
    bytes_per_number: Positive = Field(4.0, description="4 for float32; 1 for int8 or SQ8")
    index_overhead: Positive = Field(
        1.1,
        description="memory over the vectors'; HNSW's links are 2 x 16 x 4 bytes beside 5,120, and metadata; assumed",
    )
    node_cores: Count = Field(16, description="of a Milvus query node; assumed")
    node_gib: Positive = Field(64.0, description="memory of a Milvus query node; assumed")
    node_filled: float = Field(0.7, gt=0, le=1, description="of a node's memory that holds vectors; assumed")
    replicas: Count = Field(1, description="copies of the index in memory; 2 or more to outlive a node")
    # GPU.
    gpu_call_ms: NotNegative = Field(
        0.3,
        description="of every call of an engine; T4, TensorRT FP16, MobileNetV2: 0.59 ms for 1, 1.45 ms for 4 (read)",
    )
    gpu_detect_ms: Positive = Field(
        0.76, description="each frame; the same table's 0.285 ms x 0.8 / 0.3 billion multiply-adds; assumed"
    )
    gpu_embed_ms: Positive = Field(
        0.39, description="each object; the same table's 0.285 ms x 0.41 / 0.3 billion multiply-adds; assumed"
    )

    @property
    def row_bytes(self) -> float:
        return self.dimensions * self.bytes_per_number


def assumptions(given: Sequence[str]) -> Assumptions:
    """Defaults but for what is given as NAME=VALUE. Raises SizingError."""
    pairs = [each.partition("=") for each in given]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise SizingError(f"--assume {wrong[0]} gives no value; write NAME=VALUE, such as gpu_detect_ms=0.5")
    try:
        return Assumptions.model_validate({name: value for name, _, value in pairs})
    except ValidationError as error:
        first = error.errors()[0]
        names = ", ".join(Assumptions.model_fields)
        raise SizingError(f"--assume {first['loc'][0]}: {first['msg']}; there are {names}") from error
