"""The types an index can have, and their parameters, held to what Milvus documents before a server sees them.

Limits: milvus.io/docs, each type's page and "GPU Index Overview" (Milvus 2.6). Vectors are of length 1 and compared
by inner product, which every type takes; no GPU type takes COSINE.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable

METRIC = "IP"
IndexType = Literal[
    "HNSW",
    "FLAT",
    "IVF_FLAT",
    "IVF_SQ8",
    "AUTOINDEX",
    "GPU_CAGRA",
    "GPU_IVF_FLAT",
    "GPU_IVF_PQ",
    "GPU_BRUTE_FORCE",
]
Parameters = Mapping[str, int | str]

_Lists = Annotated[int, Field(ge=1, le=65536)]
_Flag = Literal["true", "false"]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _None(_Parameters):
    pass


class _Hnsw(_Parameters):
    M: int = Field(16, ge=2, le=2048)
    efConstruction: int = Field(200, ge=1, le=2**31 - 1)  # noqa: N815 (Milvus' name)


class _HnswSearch(_Parameters):
    ef: int = Field(64, ge=1, le=2**31 - 1)


class _Ivf(_Parameters):
    nlist: _Lists = 128


class _IvfSearch(_Parameters):
    nprobe: _Lists = 16


class _GpuIvfFlat(_Parameters):
    nlist: _Lists = 1024
    cache_dataset_on_device: _Flag | None = None


class _GpuIvfPq(_Parameters):
    nlist: _Lists = 1024
    # Sub-vectors; the size of the vectors must be a multiple.
    m: int | None = Field(None, ge=1)
    nbits: int | None = Field(None, ge=1, le=16)
    cache_dataset_on_device: _Flag | None = None


class _Cagra(_Parameters):
    intermediate_graph_degree: int = Field(128, ge=1)
    graph_degree: int = Field(64, ge=1)
    build_algo: Literal["IVF_PQ", "NN_DESCENT"] | None = None
    cache_dataset_on_device: _Flag | None = None
    # Built on a GPU, searched on CPUs.
    adapt_for_cpu: _Flag | None = None

    @model_validator(mode="after")
    def _pruned(self) -> Self:
        if self.graph_degree >= self.intermediate_graph_degree:
            raise ValueError(
                f"graph_degree {self.graph_degree} must be below intermediate_graph_degree "
                f"{self.intermediate_graph_degree}, of which it is what pruning leaves"
            )
        return self


class _CagraSearch(_Parameters):
    itopk_size: int = Field(64, ge=1, le=2048)
    search_width: int | None = Field(None, ge=1)
    min_iterations: int | None = Field(None, ge=0)
    max_iterations: int | None = Field(None, ge=0)
    team_size: Literal[2, 4, 8, 16, 32] | None = None
    # Of indexes that are searched on CPUs, and needed there.
    ef: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.itopk_size & (self.itopk_size - 1):
            raise ValueError(f"itopk_size {self.itopk_size} must be a power of two")
        return self


_BUILT_WITH: dict[str, type[_Parameters]] = {
    "HNSW": _Hnsw,
    "IVF_FLAT": _Ivf,
    "IVF_SQ8": _Ivf,
    "GPU_CAGRA": _Cagra,
    "GPU_IVF_FLAT": _GpuIvfFlat,
    "GPU_IVF_PQ": _GpuIvfPq,
}
_SEARCHED_WITH: dict[str, type[_Parameters]] = {
    "HNSW": _HnswSearch,
    "IVF_FLAT": _IvfSearch,
    "IVF_SQ8": _IvfSearch,
    "GPU_CAGRA": _CagraSearch,
    "GPU_IVF_FLAT": _IvfSearch,
    "GPU_IVF_PQ": _IvfSearch,
}
# These keep so many candidates, which must not be fewer than the answers.
_CANDIDATES = ("ef", "itopk_size")


def needs_gpu(index_type: str) -> bool:
    return index_type.startswith("GPU_")


@dataclass(frozen=True)
class IndexSettings:
    """The type of collections that are made, with its parameters; collections of other types have the defaults."""

    index_type: str
    build: Parameters = field(default_factory=dict)
    search: Parameters = field(default_factory=dict)

    def check(self) -> None:
        """Raises ValueError where a parameter is none of the type, or beyond its limit."""
        build, search = self._built(self.index_type), self._searched(self.index_type)
        if "nlist" in build and search["nprobe"] > build["nlist"]:
            raise ValueError(f"nprobe {search['nprobe']} is more than there are lists: nlist is {build['nlist']}")
        if build.get("adapt_for_cpu") == "true" and "ef" not in search:
            raise ValueError("search_parameters of GPU_CAGRA need ef where adapt_for_cpu is true, such as 128")

    def to_build(self, index_type: str, size: int) -> dict[str, Any]:
        """For vectors of `size` numbers. Raises Unavailable where they cannot be divided as the parameters say."""
        parameters = self._built(index_type)
        if (parts := parameters.get("m")) and size % parts:
            raise Unavailable(
                Reason.MILVUS_UNAVAILABLE,
                f"index_parameters ask for m = {parts} sub-vectors, of which {size}, the size of the vectors, is no "
                "multiple; choose another m",
            )
        return parameters

    def to_search(self, index_type: str, limit: int) -> dict[str, Any]:
        """For `limit` answers."""
        parameters = self._searched(index_type)
        for name in _CANDIDATES:
            if name in parameters:
                parameters[name] = max(parameters[name], _power_of_two(limit))
        return parameters

    def _built(self, index_type: str) -> dict[str, Any]:
        told = self.build if index_type == self.index_type else {}
        return _checked(_BUILT_WITH.get(index_type, _None), told, f"index_parameters of {index_type}")

    def _searched(self, index_type: str) -> dict[str, Any]:
        told = self.search if index_type == self.index_type else {}
        return _checked(_SEARCHED_WITH.get(index_type, _None), told, f"search_parameters of {index_type}")


def _checked(kind: type[_Parameters], told: Parameters, what: str) -> dict[str, Any]:
    try:
        return kind(**told).model_dump(exclude_none=True)
    except ValidationError as error:
        faults = (
            ": ".join([*map(str, detail["loc"]), detail["msg"].removeprefix("Value error, ")])
            for detail in error.errors(include_url=False)
        )
        known = ", ".join(kind.model_fields) or "none"
        raise ValueError(f"{what} are wrong: {'; '.join(faults)} (there are: {known})") from error


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
