"""What both commands share: configuration, running coroutines, output, and the exit codes of failure."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar, cast
from uuid import uuid4

import anyio
import click

from tool_server.config import Config, LoadedConfig
from tool_server.errors import (
    CallFailed,
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    ToolServerError,
    Unavailable,
)

EXIT_INTERNAL = 1
EXIT_CODES: Mapping[type[ToolServerError], int] = {
    InvalidInput: 3,
    NotFound: 4,
    Conflict: 5,
    Denied: 6,
    CallFailed: 7,
    Unavailable: 8,
}

P = ParamSpec("P")
T = TypeVar("T")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the database, artifacts and compiled code. Default: TOOL_SERVER_DATA, else the user data folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def load_config(data_dir: Path | None = None, **overrides: Any) -> LoadedConfig:
    """The configuration in force, with command line options on top.

    Raises:
        InvalidInput: `invalid_config`.
    """
    return LoadedConfig.load(os.environ, {"data_dir": data_dir, **overrides})


_LOG_LINE = "%(asctime)s %(levelname)s %(name)s"


def configure_logging(config: Config) -> None:
    """Send the log to stderr; what guests write stands there with their plugin and the call's id."""
    logging.basicConfig(level=config.log_level.upper(), stream=sys.stderr, format=f"{_LOG_LINE}: %(message)s")
    guests = logging.StreamHandler(sys.stderr)
    guests.setFormatter(logging.Formatter(f"{_LOG_LINE} %(plugin)s call %(call_id)s: %(message)s"))
    guest_logger = logging.getLogger("tool_server.guest")
    guest_logger.addHandler(guests)
    guest_logger.propagate = False
    for noisy in ("mcp", "httpx", "httpcore", "uvicorn", "alembic", "nodesemver"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` on asyncio, with uvloop where it is installed."""
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def print_json(value: object) -> None:
    """One JSON document on stdout, for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def hide_password(url: str) -> str:
    """A URL for people's eyes: the password in it is not shown."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", url)


def translated(function: Callable[P, T]) -> Callable[P, T]:
    """The command line's translation table: our errors become one line on stderr and a distinct exit code."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except BrokenPipeError:
            # Whoever read our output left, as `head` does.
            _leave_stdout()
            raise SystemExit(0) from None
        except Exception as error:  # noqa: BLE001 - the command line's top-level translation table
            fail(error)

    return wrapper


def _single(error: BaseException) -> BaseException:
    # A task group wraps even one error.
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return _single(group.exceptions[0]) if len(group.exceptions) == 1 else group


def fail(error: BaseException, *, printed: bool = False) -> NoReturn:
    """Print what went wrong and leave with the exit code of its class.

    Args:
        printed: whether the command's own JSON, one document, is on stdout already.
    """
    error = _single(error)
    context = click.get_current_context(silent=True)
    as_json = context is not None and bool(context.params.get("as_json")) and not printed
    if isinstance(error, ToolServerError):
        code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), EXIT_INTERNAL)
        _print_error(error.code, hide_password(error.message), error.data, as_json)
        raise SystemExit(code)
    if os.environ.get("TOOL_SERVER_DEBUG"):
        traceback.print_exception(error)
    message = (
        f"internal error {uuid4().hex[:12]} ({type(error).__name__}): please report it; "
        "TOOL_SERVER_DEBUG=1 shows where it happened"
    )
    _print_error("internal_error", message, {}, as_json)
    raise SystemExit(EXIT_INTERNAL)


def _print_error(code: str, message: str, data: Mapping[str, Any], as_json: bool) -> None:
    click.echo(f"error: {message}", err=True)
    if as_json:
        try:
            print_json({"error": {"code": code, "message": message, "data": data}})
        except BrokenPipeError:
            _leave_stdout()


def _leave_stdout() -> None:
    # What is still in its buffer goes nowhere instead of failing once more at the interpreter's end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
