"""Files that a user has uploaded to a component of Tetra, in sealed state.

Large ones lie where Tetra keeps them until they are used. A state has their names in that directory, and whoever forges
one can name no file outside of it. Small ones are in the memory, and their content is in the state.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile
from tetra.conf import get_setting
from tetra.utils import NamedTemporaryUploadedFile

from sealedsession.integrations.django.budget import current

_UPLOAD = 512  # nodes, of 16,384 in a payload: each upload opens a file
_NAME_MAX = 255  # bytes, of most file systems; they have an error for longer names


def _of_upload(upload: Any) -> tuple[str, str, int, str]:
    path = Path(upload.temporary_file_path()).resolve()
    if path.parent != _uploads():
        raise ValueError(f"it is not in {_uploads()}")
    return path.name, upload.name, upload.size, upload.content_type or ""


def _upload(temporary: str, name: str, size: int, content_type: str) -> Any:
    path = _uploads() / temporary
    is_name = Path(temporary).name == temporary and len(temporary.encode(errors="replace")) <= _NAME_MAX
    current().reading.pay(_UPLOAD)
    if not is_name or not path.is_file():
        return None
    return NamedTemporaryUploadedFile(name, content_type, size, settings.DEFAULT_CHARSET, temp_path=str(path))


def _uploads() -> Path:
    return Path(settings.MEDIA_ROOT, get_setting("TETRA_TEMP_UPLOAD_PATH")).resolve()


def _of_file(upload: Any) -> tuple[str, str, bytes]:
    content = upload.open().read()
    upload.open()  # at the start again
    return upload.name, upload.content_type or "", content


def _file(name: str, content_type: str, content: bytes) -> Any:
    return InMemoryUploadedFile(BytesIO(content), None, name, content_type, len(content), settings.DEFAULT_CHARSET)


# Class, code, what is written for a file, how a file is made of that, and the types of it.
UPLOADS: tuple[tuple[Any, ...], ...] = (
    (NamedTemporaryUploadedFile, "tetra.upload", _of_upload, _upload, str, str, int, str),
    (InMemoryUploadedFile, "tetra.file", _of_file, _file, str, str, bytes),
)
