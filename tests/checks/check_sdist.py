"""``python tests/checks/check_sdist.py dist``: unpack the source distribution, and run its core tests there."""

import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

WHERE = "import pathlib, sealedsession; print(pathlib.Path(sealedsession.__file__).parent.parent)"
NEEDED = ("CHANGES.rst", "CONTRIBUTING.rst", "LICENSE", "README.rst", "docs/conf.py", "docs/index.rst")


def main(dist: pathlib.Path) -> int:
    [sdist] = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(sdist) as archive:
            archive.extractall(directory, filter="data")
        [source] = pathlib.Path(directory).resolve().iterdir()
        missing = [name for name in NEEDED if not (source / name).is_file()]
        if missing:
            raise SystemExit(f"{sdist}: {', '.join(missing)} is missing. Add it to MANIFEST.in")
        environment = os.environ | {"PYTHONPATH": str(source)}
        imported = subprocess.check_output(
            [sys.executable, "-c", WHERE], cwd=source, env=environment, text=True
        ).strip()
        if imported != str(source):
            raise SystemExit(f"sealedsession: imported from {imported} instead of the unpacked archive")
        pytest = [sys.executable, "-m", "pytest", "--numprocesses=auto", "--quiet", "@tests/core.txt"]
        return subprocess.run(pytest, cwd=source, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
