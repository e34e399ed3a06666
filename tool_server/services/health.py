"""Whether storage is sound and the sandbox works."""

from __future__ import annotations

from dataclasses import dataclass

from tool_server.errors import ToolServerError
from tool_server.interfaces import ArtifactStore, PluginStore, Sandbox
from tool_server.model.call import Probe
from tool_server.model.json_value import sha256_hex
from tool_server.model.limits import Limits
from tool_server.model.release import Program

# (module (memory 1) (func (export "ready") (result i32) i32.const 0))
_SMALLEST_GUEST = bytes.fromhex(
    "0061736d010000000105016000017f03020100050301000107090105726561647900000a0601040041000b"
)


@dataclass(frozen=True, slots=True)
class StorageReport:
    """What a check of database and artifacts found, as sentences."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    """What is no problem and may be worth knowing."""


class HealthService:
    """Tries the parts for real."""

    def __init__(self, plugins: PluginStore, artifacts: ArtifactStore, sandbox: Sandbox) -> None:
        self._plugins = plugins
        self._artifacts = artifacts
        self._sandbox = sandbox

    async def check_storage(self) -> StorageReport:
        """Check the database; read and hash every artifact that a version points to.

        Raises:
            Unavailable: the database cannot answer at all.
        """
        problems = list(await self._plugins.check())
        referenced = await self._plugins.referenced_digests()
        for digest in sorted(referenced):
            try:
                await self._artifacts.get(digest)
            except ToolServerError as error:
                problems.append(f"artifact {digest[:12]}: {error.message}")
        stray = [digest async for digest in self._artifacts.digests() if digest not in referenced]
        remark = f"{len(stray)} artifacts belong to no version, as a publish that broke off leaves them"
        return StorageReport(tuple(problems), (remark,) if stray else ())

    async def try_sandbox(self) -> str:
        """Compile and run the smallest guest there is; a sentence on how that went.

        Raises:
            CallFailed, Unavailable: the sandbox does not work here.
        """
        program = Program(digest=sha256_hex(_SMALLEST_GUEST), size=len(_SMALLEST_GUEST))
        for result in await self._sandbox.inspect(program, _SMALLEST_GUEST, [Probe("ready")], Limits()):
            if isinstance(result, ToolServerError):
                raise result
        return "a guest was compiled and run in a worker process"
