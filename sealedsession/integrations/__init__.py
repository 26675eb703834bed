"""One module for each framework or tool that this package fits into. Each imports it, and nothing else here does."""


def not_installed(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Make the error of a package that is missing one that says how it is installed.

    :param extra: the extra of ours that asks for it.
    """
    return ModuleNotFoundError(f"{error.name} is not installed: pip install 'sealedsession[{extra}]'", name=error.name)
