"""Sessions in one sealed cookie, for WSGI and ASGI."""

from sealedsession.config import SessionConfig as SessionConfig
from sealedsession.errors import ConfigError as ConfigError
from sealedsession.errors import CookieTooLargeError as CookieTooLargeError
from sealedsession.errors import NotPublicError as NotPublicError
from sealedsession.errors import NotSerializableError as NotSerializableError
from sealedsession.errors import SealedSessionError as SealedSessionError
from sealedsession.errors import SealError as SealError
from sealedsession.errors import SessionClosedError as SessionClosedError
from sealedsession.errors import StaleStateError as StaleStateError
from sealedsession.errors import StateError as StateError
from sealedsession.errors import StateTooLargeError as StateTooLargeError
from sealedsession.errors import StoreError as StoreError
from sealedsession.errors import UnsealError as UnsealError
from sealedsession.events import Event as Event
from sealedsession.serialization.limits import Limits as Limits
from sealedsession.serialization.registry import Registry as Registry
from sealedsession.serialization.registry import default_registry as default_registry
from sealedsession.session import Session as Session
from sealedsession.session import get_session as get_session

__version__ = "0.1.0"
