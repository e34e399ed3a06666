"""What a worker process may and may not do, and that none outlives its server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.sandbox.conftest import MakePool, Modules, call_of, until
from tests.support.kernel import is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

_SERVER = textwrap.dedent(
    """
    import sys
    from pathlib import Path

    import anyio

    from tests.sandbox.conftest import Modules, call_of
    from tool_server.sandbox.host_calls import HostFunctions, HostReply
    from tool_server.sandbox.pool import WorkerPool
    from tool_server.sandbox.protocol import USER
    from tool_server.sandbox.settings import PoolSettings

    async def main():
        modules, entered = Modules(), []
        modules.add_guests("echo", "host_function_then_spin")

        async def lookup(question):
            entered.append(question)
            return HostReply(b"")

        settings = PoolSettings(workers=2, spares=1, compile_cache=Path(sys.argv[1]))
        async with WorkerPool(settings, modules.read, HostFunctions({(USER, "lookup"): lookup})) as pool:
            await pool.run(call_of("echo"))
            if sys.argv[2] == "modules":
                print(*(name for name in sys.modules if name.startswith("extism")))
                return
            await pool.warm()
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(pool.run, call_of("host_function_then_spin"))
                while len(entered) < 2:
                    await anyio.sleep(0.01)
                print(*pool.pids, flush=True)

    anyio.run(main)
    """
)


def _start_server(cache: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SERVER, str(cache), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


async def test_no_worker_outlives_a_server_that_was_killed(tmp_path: Path) -> None:
    with _start_server(tmp_path, "spin") as server:
        assert server.stdout is not None
        pids = [int(word) for word in server.stdout.readline().split()]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)
        server.kill()
    await until(lambda: not any(is_running(pid) for pid in pids))


def test_the_server_process_never_loads_the_engine(tmp_path: Path) -> None:
    with _start_server(tmp_path, "modules") as server:
        out, _ = server.communicate(timeout=60)
    assert (server.returncode, out.strip()) == (0, "")


async def test_a_worker_is_confined(
    make_pool: MakePool, modules: Modules, compile_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_SERVER_TOKEN", "secret")
    modules.add_guests("echo")
    ours, inherited = socket.socketpair()
    with ours, inherited:
        os.set_inheritable(inherited.fileno(), True)
        async with make_pool(compile_memory=2**31) as pool:
            await pool.run(call_of("echo"))
            (pid,) = pool.pids
            proc = Path(f"/proc/{pid}")
            limits = {line[:26].strip(): line[26:].split()[:2] for line in (proc / "limits").read_text().splitlines()}
            environment = (proc / "environ").read_bytes().split(b"\0")
            descriptors = [os.readlink(entry) for entry in (proc / "fd").iterdir()]
            status = (proc / "status").read_text()
            folder = (proc / "cwd").resolve()
            foreign = {os.readlink(f"/proc/self/fd/{end.fileno()}") for end in (ours, inherited)}
            assert not any(folder.iterdir())
            assert os.getsid(pid) == pid
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == ["128", "128"]
    assert limits["Max data size"][1] == str(2**31)
    assert int(limits["Max data size"][0]) < 2**30
    assert "NoNewPrivs:\t1" in status
    names = {entry.partition(b"=")[0] for entry in environment if entry}
    assert names == {b"PYTHONPATH", b"PYTHONUTF8", b"RUST_BACKTRACE"}
    assert not {descriptor for descriptor in descriptors if descriptor.startswith("socket:")} & foreign
    assert not folder.exists()


async def test_a_worker_ends_with_its_socket(make_pool: MakePool, modules: Modules) -> None:
    modules.add_guests("echo")
    async with make_pool() as pool:
        await pool.run(call_of("echo"))
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
    assert not is_running(pid)
