"""Integrations, one module or folder per framework or tool. Nothing else in the package imports a framework."""


def not_installed(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Return an error that shows how to install a missing package.

    :param error: the original error.
    :param extra: the extra of sealedsession that requires the package.
    """
    return ModuleNotFoundError(f"{error.name} is not installed: pip install 'sealedsession[{extra}]'", name=error.name)
