"""Where `login` keeps the server's address and token: a file that its owner alone can read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from tool_server.errors import InvalidInput, Unavailable


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
        InvalidInput: `invalid_credentials`, the file is damaged; `invalid_url` or `invalid_token` in the environment.
    """
    url = os.environ.get("TOOL_SERVER_URL")
    if url:
        return Credentials(url=check_url(url), token=check_token(os.environ.get("TOOL_SERVER_TOKEN", "")))
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
    """Write the file, readable by its owner alone from its first byte.

    Raises:
        Unavailable: `credentials_file`, the folder does not let us.
    """
    path = credentials_file()
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(credentials.model_dump_json())
        temporary.replace(path)
    except OSError as error:
        _refuse(path, error)
    return path


def forget_credentials() -> bool:
    """Remove the file; returns whether there was one.

    Raises:
        Unavailable: `credentials_file`, the folder does not let us.
    """
    path = credentials_file()
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        _refuse(path, error)
    return True


def _refuse(path: Path, error: OSError) -> NoReturn:
    raise Unavailable(
        "credentials_file",
        f"{path} cannot be changed ({error.strerror}): mend the folder, or set XDG_CONFIG_HOME to another",
    ) from error


def check_url(url: str) -> str:
    """Return the server's base URL without a trailing slash.

    Raises:
        InvalidInput: `invalid_url`.
    """
    if not _is_base_url(url):
        raise InvalidInput("invalid_url", f"{url[:100]!r} is not a server's address: write it as http://127.0.0.1:8000")
    return url.rstrip("/").removesuffix("/mcp")


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usual = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usual and "@" not in parts.netloc and not parts.query and not parts.fragment and url.isprintable()


def check_token(token: str) -> str:
    """Return the token, which a header must be able to carry.

    Raises:
        InvalidInput: `invalid_token`.
    """
    if not re.fullmatch(r"[!-~]{0,500}", token):
        raise InvalidInput("invalid_token", "this is not a token: paste the line that 'tool-server token create' shows")
    return token
