"""Index parameters are held to Milvus' limits before a server sees them."""

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from framelens_gateway.errors import Unavailable
from framelens_gateway.index_types import IndexSettings, IndexType
from framelens_gateway.settings import GatewaySettings


@pytest.mark.parametrize("index_type", get_args(IndexType))
def test_every_type_has_defaults_within_its_limits(index_type: str) -> None:
    settings = IndexSettings(index_type)
    settings.check()
    settings.to_build(index_type, 1280)
    settings.to_search(index_type, 1024)


def test_as_many_candidates_are_kept_as_answers_are_wanted() -> None:
    cagra = IndexSettings("GPU_CAGRA", search={"itopk_size": 128})
    assert [cagra.to_search("GPU_CAGRA", limit)["itopk_size"] for limit in (16, 129, 1024)] == [128, 256, 1024]
    assert IndexSettings("HNSW").to_search("HNSW", 300)["ef"] >= 300


def test_another_type_has_its_own_defaults() -> None:
    settings = IndexSettings("IVF_FLAT", {"nlist": 4}, {"nprobe": 2})
    assert settings.to_build("HNSW", 8) == {"M": 16, "efConstruction": 200}
    assert settings.to_search("HNSW", 8) == {"ef": 64}


@pytest.mark.parametrize(
    ("index_type", "build", "search", "said"),
    [
        ("GPU_CAGRA", {"graph_degree": 128}, {}, "graph_degree 128 must be below intermediate_graph_degree 128"),
        ("GPU_CAGRA", {}, {"itopk_size": 100}, "itopk_size 100 must be a power of two"),
        ("GPU_CAGRA", {}, {"team_size": 3}, "team_size"),
        ("GPU_CAGRA", {"build_algo": "HNSW"}, {}, "build_algo"),
        ("GPU_CAGRA", {"adapt_for_cpu": "true"}, {}, "need ef where adapt_for_cpu is true"),
        ("GPU_IVF_PQ", {"nbits": 17}, {}, "nbits"),
        ("GPU_IVF_FLAT", {"nlist": 65537}, {}, "nlist"),
        ("GPU_IVF_FLAT", {"nlist": 8}, {"nprobe": 9}, "nprobe 9 is more than there are lists: nlist is 8"),
        ("GPU_BRUTE_FORCE", {"nlist": 8}, {}, r"nlist: Extra inputs are not permitted \(there are: none\)"),
        ("HNSW", {"M": 1}, {}, "M: Input should be greater than or equal to 2"),
        ("HNSW", {"M": "16"}, {}, "M: Input should be a valid integer"),
    ],
)
def test_what_milvus_would_refuse_is_refused_at_the_start(
    index_type: Any, build: dict[str, Any], search: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        GatewaySettings(index_type=index_type, index_parameters=build, search_parameters=search)


def test_vectors_that_cannot_be_divided_are_refused() -> None:
    settings = IndexSettings("GPU_IVF_PQ", {"m": 48})
    assert settings.to_build("GPU_IVF_PQ", 96)["m"] == 48
    with pytest.raises(Unavailable, match="m = 48 sub-vectors, of which 1280"):
        settings.to_build("GPU_IVF_PQ", 1280)
