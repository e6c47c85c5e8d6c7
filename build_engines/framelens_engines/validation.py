"""Proves a version: against the model's FP32 engine, and beside what serves."""

from pathlib import Path

from framelens_engines.derived import reference
from framelens_engines.evaluation.report import Report
from framelens_engines.evaluation.validation import evaluate
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, write_record
from framelens_engines.store import EngineStore


def validate(store: EngineStore, name: str, pictures: Path, reporter: Reporter) -> tuple[EngineVersion, Report]:
    """The version with the report in its engine.json, and golden queries beside it. Raises EngineError."""
    with store.building():
        version = store.get(name)
        published = store.published.versions(version.model)
        serving = published[-1].folder if published else None
        report = evaluate(version.folder, reference(store, version.model).folder, serving, pictures, reporter)
        update = {"parity": report.parity(), "latency": report.latency(), "memory_mib": report.memory.peak_mib}
        write_record(version.folder, version.record.model_copy(update=update))
        return store.get(name), report
