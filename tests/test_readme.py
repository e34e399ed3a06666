"""README.md is what a newcomer types: every block in it is run or, where another test runs it, named here."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from mcp import Client, StdioServerParameters

from tests.services.publishing import offer
from tests.support.item_guests import item_guest
from tests.support.node import NODE, PACKAGE, node_environment, require_node_modules
from tests.support.plugins import bundled_tools
from tests.support.server import REPOSITORY, RunningServer, running_server, server_environment
from tool_server.bootstrap.services import build
from tool_server.cli import operate, registry
from tool_server.config import Config
from tool_server.model.caller import LOCAL
from tool_server.model.item_kind import ItemKind

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
COMMANDS = {"tool-server": operate.main, "extism-registry": registry.main}
SECONDS = 120

ELSEWHERE = {
    "make up": "tests/end_to_end/test_fresh_clone.py",
    "make test": ".ci/run",
}
"""Commands that are run by what is named here."""

PRINTED = {
    "tool-server tools": "hash_digest",
    "tool-server call hash_digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "tool-server call shouter_shout": "HELLO",
    "tool-server token create mastra": "ts_",
    "tool-server token create writer": "ts_",
    "tool-server token list": "search: plugin:text, tool:hash_digest",
    "echo not-a-real-key '|' tool-server secret set": "WEATHER_KEY is set, to be sent to api.example.com",
    "tool-server secret list": "WEATHER_KEY",
    "tool-server grant list": "network=api.example.com",
    "python -m ziglang cc": "",
    "extism-registry publish shouter": "published shouter 1.0.0",
    "extism-registry install shouter": "shouter is now at 1.0.0",
    "extism-registry versions shouter": "1.0.0",
    "extism-registry update shouter": "shouter stays at 1.0.0",
    "extism-registry list": "shouter_shout",
    "extism-registry import-config hyper-mcp.json": "imported as loud 0.0.0-import.d",
    "TOOL_SERVER_METRICS=1": "TOOL_SERVER_TRACING__ENDPOINT",
}
"""What each command prints, by how it begins. A command in README.md that is not here is not covered."""

OTHER_DOCUMENTS = {"plugins/README.md": "tests/plugins/test_build.py"}
"""Documents with blocks of code, and the test that runs them."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the comment above it, such as `file: shouter/plugin.json`."""

    language: str
    text: str
    note: str


BLOCKS = [
    Block(match["language"], match["text"], match["note"] or "")
    for match in re.finditer(
        r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
]


def commands_of(block: Block) -> list[str]:
    """The command lines of a shell block, continued lines joined, comments taken off."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if shlex.split(line, comments=True)]


def beginning_of(command: str) -> str:
    """The command without the folder of the environment, so that it can be looked up."""
    return shlex.join(shlex.split(command, comments=True)).replace(".venv/bin/", "")


SHELL = [command for block in BLOCKS if block.language == "sh" for command in commands_of(block)]


def block_in(language: str, note: str = "") -> str:
    """The one block of a language."""
    (found,) = [block.text for block in BLOCKS if (block.language, block.note) == (language, note)]
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a clone: the files that README.md tells to write, beside what a clone has."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("plugins", "tool_server", "schemas"):
        (folder / name).symlink_to(REPOSITORY / name)
    for block in BLOCKS:
        if block.note.startswith("file: "):
            path = folder / block.note.removeprefix("file: ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    return folder


@pytest.fixture(scope="module")
def server(scratch: Path) -> Generator[RunningServer]:
    """What `make up` leaves running while one reads on."""
    with running_server(scratch / "data", env=settings_of(scratch)) as running:
        yield running


def settings_of(scratch: Path) -> dict[str, str]:
    """Settings that keep everything of the commands below `scratch`."""
    home = scratch / "home"
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "share"),
        "TOOL_SERVER_DATA": str(scratch / "data"),
        "TOOL_SERVER_WORKERS": "1",
    }


def run(command: str | list[str], scratch: Path) -> str:
    """Run one command as a newcomer in the clone does, and return what it prints."""
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
        cwd=scratch,
        env=server_environment(settings_of(scratch)),
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_is_of_a_kind_that_a_test_runs() -> None:
    assert README.count("\n```") == 2 * len(BLOCKS)
    kinds = {(block.language, block.note.partition(":")[0]) for block in BLOCKS}
    assert kinds <= {("sh", ""), ("ts", ""), ("json", ""), ("c", "file"), ("json", "file"), ("python", "run")}
    assert len(SHELL) > 10


def test_every_command_of_the_tables_above_is_still_in_the_text() -> None:
    beginnings = [beginning_of(command) for command in SHELL]
    for known in (*ELSEWHERE, *PRINTED):
        assert any(command.startswith(known) for command in beginnings), known
    for runner in ELSEWHERE.values():
        assert (REPOSITORY / runner).is_file()


def test_the_shell_commands_work_in_the_order_in_which_they_stand(scratch: Path, server: RunningServer) -> None:
    ran = 0
    for command in SHELL:
        beginning = beginning_of(command)
        if beginning in ELSEWHERE:
            continue
        if beginning.startswith("python -m pip install"):
            # It is what the environment of the tests already has.
            assert importlib.util.find_spec(beginning.split()[-1]) is not None
            continue
        expected = [printed for known, printed in PRINTED.items() if beginning.startswith(known)]
        assert expected, f"no test says what {command!r} prints"
        assert all(words in run(command.replace(".venv/bin/", f"{BIN}/"), scratch) for words in expected), command
        ran += 1
    assert ran >= len(PRINTED)


def test_the_python_program_runs(scratch: Path) -> None:
    printed = run([sys.executable, "-c", block_in("python", "run: python")], scratch)
    assert "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" in printed


def test_the_program_that_offers_a_function_runs_with_the_plugin_that_uses_it(scratch: Path) -> None:
    (compile_it,) = [command for command in SHELL if "till/total.c" in command]
    run(compile_it.replace(".venv/bin/", f"{BIN}/"), scratch)
    printed = run([sys.executable, "-c", block_in("python", "run: host function")], scratch)
    assert printed.strip() == "7.5"


async def test_the_configuration_of_a_client_starts_the_server(scratch: Path) -> None:
    (entry,) = json.loads(block_in("json"))["mcpServers"].values()
    command = Path(entry["command"])
    assert command.parts[-3:] == (".venv", "bin", "tool-server")
    started = StdioServerParameters(
        command=str(BIN / command.name),
        args=entry["args"],
        env=server_environment(settings_of(scratch)),
        cwd=scratch,
    )
    async with Client(started) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert {tool.name for tool in bundled_tools()} <= names


def test_the_mastra_program_names_what_there_is() -> None:
    program = block_in("ts")
    assert "@mastra/mcp" in json.loads((PACKAGE / "package.json").read_text())["dependencies"]
    assert "from '@mastra/mcp'" in program
    config = Config()
    assert f"http://{config.host}:{config.port}/mcp" in program
    command, argument = re.findall(r"command: '([^']*)', args: \['([^']*)'\]", program)[0]
    assert Path(command).name in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    with click.Context(operate.main) as context:
        assert argument in operate.main.list_commands(context)


@pytest.mark.parametrize("transport", ["url", "command"])
def test_the_mastra_program_runs(scratch: Path, server: RunningServer, transport: str) -> None:
    require_node_modules()
    program = block_in("ts").replace("http://127.0.0.1:8000", server.url).replace("'.venv/bin/", f"'{BIN}/")
    if transport == "command":
        program = re.sub(r"^ *tools: .*\n", "", program, flags=re.MULTILINE).replace("// or: ", "")
    done = subprocess.run(
        (NODE, "--input-type=module", "-"),
        input=f"{program}\nconsole.log(Object.keys(tools).join(' '));\nawait mcp.disconnect();\n",
        capture_output=True,
        text=True,
        cwd=PACKAGE,
        env=node_environment(server_environment(settings_of(scratch))),
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {f"tools_{tool.name}" for tool in bundled_tools()} <= set(done.stdout.split())


async def test_the_plugin_with_prompts_and_resources_is_taken_as_it_stands(tmp_path: Path) -> None:
    document = json.loads(block_in("json", "file: notes/plugin.json"))
    async with build(Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)) as services:
        await offer(services, wasm=item_guest("items"), **document)
        (prompt,) = services.catalog.current.items.page(ItemKind.PROMPT)
        assert await services.content.get_prompt(prompt.name, {"text": "a"}, LOCAL)
        assert await services.content.read_resource("notes://about", LOCAL)
        assert await services.content.read_resource("notes://a/b", LOCAL)


def test_commands_and_links_within_the_text_exist() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    makefile = (REPOSITORY / "Makefile").read_text()
    checked = 0
    for words in map(str.split, re.findall(r"`([^`]+)`", prose)):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:.*##", makefile, re.MULTILINE), words
        elif words[0] in COMMANDS and len(words) > 1:
            with click.Context(COMMANDS[words[0]]) as context:
                assert COMMANDS[words[0]].get_command(context, words[1]) is not None, words
        else:
            continue
        checked += 1
    assert checked > 4
    links: list[str] = re.findall(r"\]\(([^)]+)\)", prose)
    for link in links:
        assert urlsplit(link).scheme == "https" or (REPOSITORY / link).exists(), link
    assert len(links) > 4


def test_no_other_document_holds_code_that_no_test_runs() -> None:
    folders = [REPOSITORY, *(REPOSITORY / name for name in ("plugins", "schemas", "tool_server"))]
    documents = {
        path
        for folder in folders
        for path in (folder.glob("*.md") if folder == REPOSITORY else folder.rglob("*.md"))
        if "```" in path.read_text(encoding="utf-8")
    }
    with_code = {str(path.relative_to(REPOSITORY)) for path in documents} - {"README.md"}
    assert with_code == OTHER_DOCUMENTS.keys()
    for document, test in OTHER_DOCUMENTS.items():
        programs = set(re.findall(r"^python (\S+)", (REPOSITORY / document).read_text(), re.MULTILINE))
        assert programs
        assert all(Path(program).name in (REPOSITORY / test).read_text() for program in programs)
