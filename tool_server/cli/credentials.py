"""Where `login` keeps the server's address and token: a file that its owner alone can read."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from tool_server.errors import InvalidInput


class Credentials(BaseModel):
    """A server and the token for it. `token` is empty for a server on loopback that asks for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    token: str = ""


def credentials_file() -> Path:
    """The file, in the user's configuration folder."""
    return Path(platformdirs.user_config_dir("tool-server", appauthor=False)) / "credentials.json"


def load_credentials() -> Credentials | None:
    """The login in force: `TOOL_SERVER_URL` and `TOOL_SERVER_TOKEN`, else the file, else None.

    Raises:
        InvalidInput: `invalid_credentials`, the file is damaged.
    """
    url = os.environ.get("TOOL_SERVER_URL")
    if url:
        return Credentials(url=check_url(url), token=os.environ.get("TOOL_SERVER_TOKEN", ""))
    path = credentials_file()
    try:
        return Credentials.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InvalidInput(
            "invalid_credentials", f"{path} cannot be read as a login: run 'extism-registry login' again"
        ) from error


def save_credentials(credentials: Credentials) -> Path:
    """Write the file, readable by its owner alone from its first byte."""
    path = credentials_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(credentials.model_dump_json())
    temporary.replace(path)
    return path


def forget_credentials() -> bool:
    """Remove the file; returns whether there was one."""
    path = credentials_file()
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def check_url(url: str) -> str:
    """Return the server's base URL without a trailing slash.

    Raises:
        InvalidInput: `invalid_url`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise InvalidInput("invalid_url", f"{url[:100]!r} is not a server's address: write it as http://127.0.0.1:8000")
    return url.rstrip("/").removesuffix("/mcp")
