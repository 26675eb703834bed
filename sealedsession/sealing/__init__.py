"""Keys, and the wire format of tokens."""

from sealedsession.sealing.keyring_file import KeyringFile as KeyringFile
from sealedsession.sealing.keys import Keyring as Keyring
from sealedsession.sealing.keys import KeyringSource as KeyringSource
from sealedsession.sealing.keys import KeySource as KeySource
from sealedsession.sealing.keys import derive_keys as derive_keys
from sealedsession.sealing.sealer import Sealer as Sealer
from sealedsession.sealing.sealer import Unsealed as Unsealed

__all__ = ["KeySource", "Keyring", "KeyringFile", "KeyringSource", "Sealer", "Unsealed", "derive_keys"]
