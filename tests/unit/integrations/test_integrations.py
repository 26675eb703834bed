"""Integrations whose package is missing: the error says what to install."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from sealedsession import integrations


@pytest.mark.parametrize(
    ("module", "package"), [("prometheus", "prometheus_client"), ("hyperdiv", "hyperdiv"), ("tetra", "tetra")]
)
def test_a_package_that_is_missing(module, package):
    """An integration without its package is an error that names the extra, as a shell takes it."""
    code = f"import sys\nsys.modules[{package!r}] = None\nimport sealedsession.integrations.{module}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    cure = f"ModuleNotFoundError: {package} is not installed: pip install 'sealedsession[{module}]'"
    assert done.stderr.splitlines()[-1] == cure


def test_every_integration_has_an_extra():
    """Each module or folder of integrations is an extra of setup.cfg, and the extra test installs it."""
    folder = Path(integrations.__file__).parent
    names = {path.stem for path in folder.iterdir() if not path.name.startswith("__")}
    config = configparser.ConfigParser()
    config.read(folder.parents[1] / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    installed = extras["test"].partition("sealedsession[")[2].partition("]")[0].split(",")
    assert {name for name in names if name not in extras or name not in installed} == set()
