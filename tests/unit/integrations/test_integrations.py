"""Integrations whose package is missing: the error says what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package"), [("prometheus", "prometheus_client"), ("hyperdiv", "hyperdiv"), ("tetra", "tetra")]
)
def test_a_package_that_is_missing(module, package):
    """An integration without its package is an error that names the extra, as a shell takes it."""
    code = f"import sys\nsys.modules[{package!r}] = None\nimport sealedsession.integrations.{module}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    cure = f"ModuleNotFoundError: {package} is not installed: pip install 'sealedsession[{module}]'"
    assert done.stderr.splitlines()[-1] == cure
