"""`extism-registry`: author, publish, install."""

from __future__ import annotations

import click

from tool_server.cli import registry_import, registry_install, registry_login, registry_publish
from tool_server.cli.examples import ExampleGroup
from tool_server.version import VERSION


@click.group(
    cls=ExampleGroup,
    examples="extism-registry publish ./my-plugin\nextism-registry install my-plugin\nextism-registry install --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="extism-registry")
def main() -> None:
    """Publish Extism plugins and install them as tools.

    Works on the local data folder, or on a server after 'extism-registry login URL'.
    """


for command in (
    registry_login.login,
    registry_login.logout,
    registry_login.whoami,
    registry_publish.publish,
    registry_publish.info,
    registry_publish.versions,
    registry_publish.yank,
    registry_publish.unyank,
    registry_install.install,
    registry_install.uninstall,
    registry_install.update,
    registry_install.rollback,
    registry_install.list_plugins,
    registry_import.import_config,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
