"""Proves a version: against the model's FP32 engine, and beside what serves."""

from pathlib import Path

from framelens_engines.derived import reference
from framelens_engines.errors import EngineError
from framelens_engines.evaluation.embedder_agreement import Vectors, read_index_vectors
from framelens_engines.evaluation.report import Report
from framelens_engines.evaluation.validation import evaluate
from framelens_engines.model_config import EmbedderShape, read_shape
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, write_record
from framelens_engines.store import EngineStore


def validate(
    store: EngineStore, name: str, pictures: Path, reporter: Reporter, index_vectors: Path | None = None
) -> tuple[EngineVersion, Report]:
    """The version with the report in its engine.json, and golden queries beside it. Raises EngineError.

    `index_vectors` is what `framelens-index export` wrote: an embedder's queries are searched among these too.
    """
    with store.building():
        version = store.get(name)
        published = store.published.versions(version.model)
        serving = published[-1].folder if published else None
        vectors = _read_vectors(version, index_vectors)
        report = evaluate(version.folder, reference(store, version.model).folder, serving, pictures, reporter, vectors)
        update = {"parity": report.parity(), "latency": report.latency(), "memory_mib": report.memory.peak_mib}
        write_record(version.folder, version.record.model_copy(update=update))
        return store.get(name), report


def _read_vectors(version: EngineVersion, path: Path | None) -> Vectors | None:
    if path is None:
        return None
    shape = read_shape(version.folder.parent)
    if not isinstance(shape, EmbedderShape):
        raise EngineError(f"{version.name} is no embedder: it has nothing to do with an index's vectors ({path})")
    return read_index_vectors(path, shape.dimension)
