"""Finds the parts of the embedded Triton in this environment and lays them out as tritonserver expects.

The server comes from the nvidia-pytriton wheel and brings the Python backend only. The backends of this package
(`backends/<name>/model.py`) take the names of native ones, so an unmodified model repository runs on both.
"""

import platform
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from framelens_triton.debian_packages import PackageError, unpack

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_LIBPYTHON = f"libpython{_PYTHON}.so.1.0"
_SYSTEM_LIBRARIES = Path(f"/usr/lib/{platform.machine()}-linux-gnu")
_BACKENDS = Path(__file__).with_name("backends")
# Debian 12 and Ubuntu 24.04 name the same library differently.
_PACKAGES = (f"libpython{_PYTHON}", f"libpython{_PYTHON}t64")


class InstallationError(Exception):
    """A part of the embedded Triton is missing; the message says which and what to do."""


@dataclass(frozen=True)
class Installation:
    """The server's files inside this environment's site-packages."""

    server: Path
    backend: Path
    stub: Path
    libraries: Path

    @classmethod
    def find(cls) -> "Installation":
        """Raises InstallationError."""
        spec = find_spec("pytriton")
        if spec is None or spec.origin is None:
            raise InstallationError(
                "nvidia-pytriton is not installed here; run `pip install 'framelens-triton[embedded]'`"
            )
        package = Path(spec.origin).parent
        root = package / "tritonserver"
        found = cls(
            server=root / "bin" / "tritonserver",
            backend=root / "backends" / "python",
            stub=root / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub",
            libraries=package.parent / "nvidia_pytriton.libs",
        )
        for part in (found.server, found.backend, found.stub, found.libraries):
            if not part.exists():
                raise InstallationError(
                    f"nvidia-pytriton has no {part.relative_to(package.parent)}; it has CPython "
                    f"3.8 to 3.13 on x86-64, and this is {_PYTHON} on {platform.machine()}"
                )
        return found

    def lay_out_backends(self, directory: Path) -> Path:
        """A backend directory: the Python backend copied, since Triton refuses a library that a link leads out of its
        directory, and this package's backends linked beside it.
        """
        python = directory / "python"
        shutil.rmtree(directory, ignore_errors=True)
        python.mkdir(parents=True)
        for part in (self.backend / "libtriton_python.so", self.backend / "triton_python_backend_utils.py", self.stub):
            shutil.copy2(part, python / part.name)
        for backend in _BACKENDS.iterdir():
            if (backend / "model.py").is_file():
                (directory / backend.name).symlink_to(backend)
        return directory


def libpython_directory() -> Path:
    """Where the shared libpython is that the backend's stub links. Raises InstallationError."""
    configured = Path(sysconfig.get_config_var("LIBDIR") or _SYSTEM_LIBRARIES)
    for directory in (configured, _SYSTEM_LIBRARIES, _private_libraries()):
        if (directory / _LIBPYTHON).exists():
            return directory
    raise InstallationError(
        f"{_LIBPYTHON} is not on this machine; run `framelens-triton setup`, or install {_PACKAGES[0]}"
    )


def fetch_libpython() -> Path:
    """Unpacks the distribution's libpython into this environment, without root. Raises InstallationError.

    Debian's and Ubuntu's python3 is linked statically, so a bare machine has no shared libpython.
    """
    try:
        return libpython_directory()
    except InstallationError:
        pass
    target = _private_libraries()
    with tempfile.TemporaryDirectory(prefix="framelens-libpython-") as scratch:
        try:
            unpack(_PACKAGES, Path(scratch))
        except PackageError as error:
            raise InstallationError(f"{_LIBPYTHON} is missing: {error}") from error
        target.mkdir(parents=True, exist_ok=True)
        for library in Path(scratch).glob(f"usr/lib/*/{_LIBPYTHON}*"):
            shutil.copy2(library, target / library.name)
    return libpython_directory()


def _private_libraries() -> Path:
    return Path(sys.prefix) / "lib" / "libpython"
