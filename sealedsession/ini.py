"""Options as text, from an ini file or the environment, made into what the options take."""

import re
import types

from sealedsession.errors import ConfigError

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_UNITS = {"pad": "bytes", "token_cache": "tokens"}  # every other whole number is in seconds


def coerce(option: str, text: str, kinds: tuple[type, ...]) -> object:
    """Make of an ini file's string what the option takes.

    :param kinds: the types of the option's values.
    :raises ConfigError: when it fits none of them.
    """
    stripped = text.strip()
    if not stripped:
        raise ConfigError(f"{option} is blank: give it a value, or delete the line")
    if option in ("validate_key", "encrypt_key"):
        lines = [line.strip() for line in stripped.splitlines() if line.strip()]
        if len(lines) > 1:
            return lines
        return None if option == "encrypt_key" and stripped.lower() == "none" else stripped
    if option == "accept_serializers":
        return stripped.replace(",", " ").split()
    if types.NoneType in kinds and stripped.lower() == "none":
        return None
    if bool in kinds:
        if stripped.lower() in _TRUE + _FALSE:
            return stripped.lower() in _TRUE
        raise ConfigError(f"{option} = {stripped} has to be true or false (or yes, no, on, off, 1, 0)")
    if int in kinds:
        if re.fullmatch("-?[0-9]{1,15}", stripped):
            return int(stripped)
        raise ConfigError(f"{option} = {stripped} has to be {whole_number(option)}" + _none_too(kinds))
    return stripped


def whole_number(option: str) -> str:
    """Say what an int stands for."""
    return f"a whole number of {_UNITS.get(option, 'seconds')}"


def _none_too(kinds: tuple[type, ...]) -> str:
    return " or none" if types.NoneType in kinds else ""
