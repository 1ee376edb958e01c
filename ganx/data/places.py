"""Paths, local or in a bucket (`gs://…`)."""

from __future__ import annotations

from etils import epath

from ganx.data.images import reason
from ganx.errors import GanxError


def open_path(place: str) -> epath.Path:
    """The path of a file or folder, which need not exist; `~` is the home folder.

    Raises:
      GanxError: if the path is in a bucket that cannot be reached from here.
    """
    path = epath.Path(place).expanduser()
    if "://" not in place:
        return path
    try:
        path.exists()
    except ImportError as error:
        raise GanxError(f"cannot reach {place}: {reason(error)}; gs:// needs: pip install gcsfs") from None
    except OSError as error:
        raise GanxError(f"cannot reach {place}: {reason(error)}; log in, or copy it to a local disk") from None
    return path
