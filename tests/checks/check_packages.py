"""``python tests/checks/check_packages.py dist``: the wheel has every file of the package, and no other.

check-wheel-contents compares Python files only. The build makes the wheel from the sdist, so this checks both.
"""

import pathlib
import sys
import zipfile


def main(dist: pathlib.Path) -> None:
    [wheel] = dist.glob("*.whl")
    packaged = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for path in pathlib.Path("sealedsession").rglob("*") if path.is_file())
    expected = {path.as_posix() for path in files if path.suffix != ".pyc"}
    if packaged != expected:
        raise SystemExit(f"{wheel}: {sorted(packaged ^ expected)} is in the wheel or in the package, but not in both")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
