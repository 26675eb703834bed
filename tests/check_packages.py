"""``python tests/check_packages.py dist``: the wheel holds just the package, and the sdist makes such a wheel."""

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile


def main(dist: pathlib.Path) -> None:
    [wheel] = dist.glob("*.whl")
    [sdist] = dist.glob("*.tar.gz")
    check_wheel(wheel)
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(sdist) as archive:
            archive.extractall(directory, filter="data")
        [source] = pathlib.Path(directory).iterdir()
        build = [sys.executable, "-m", "build", "--wheel", "--outdir", directory, source]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        [again] = pathlib.Path(directory).glob("*.whl")
        check_wheel(again)
    print(f"{wheel.name} and {sdist.name}: as they should be")


def check_wheel(wheel: pathlib.Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = (path for path in pathlib.Path("sealedsession").rglob("*") if path.is_file())
    modules = {path.as_posix() for path in files if path.suffix != ".pyc"}
    packaged = {name for name in names if ".dist-info/" not in name}
    if packaged != modules:
        raise SystemExit(f"{wheel}: {sorted(packaged ^ modules)} is in the wheel or in the package, and not in both")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
