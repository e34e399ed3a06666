"""SIGINT and SIGTERM as an ordinary call."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

logger = logging.getLogger(__name__)


async def on_stop_signal(
    act: Callable[[], object], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Call `act` at every SIGINT and SIGTERM, for ever; neither ends the process by itself meanwhile."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for received in signals:
            logger.info("stopping on %s", signal.Signals(received).name)
            act()
