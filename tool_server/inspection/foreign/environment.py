"""`${VARIABLE}` and `${VARIABLE:-default}` in the texts of a configuration file, as hyper-mcp reads them.

That host replaces them in the file before it parses it. Here they are replaced in the texts that were read, so that no
value can become structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tool_server.errors import InvalidInput

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}", re.ASCII)
_REPORTED = 10


class Expansion:
    """Replaces references, and remembers those to variables that are not there.

    Args:
        environment: the variables. An empty one counts as not there.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._missing: dict[str, str] = {}
        """Variable by the first place that refers to it."""

    def of(self, text: str, place: str) -> str:
        """The text with every reference replaced; `$${` stands for `${`."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return "${"
            found = self._environment.get(name) or match[2]
            if found is None:
                self._missing.setdefault(name, place)
            return found or ""

        return _REFERENCE.sub(value, text)

    def check(self) -> None:
        """Do nothing where every variable was there.

        Raises:
            InvalidInput: `missing_variable`, with the variables and where they stand.
        """
        if not self._missing:
            return
        listed = "; ".join(f"{name} at {place}" for name, place in list(self._missing.items())[:_REPORTED])
        raise InvalidInput(
            "missing_variable",
            f"the file refers to environment variables that are not set: {listed}. Set them, or give a default: "
            "${NAME:-default}",
            {"variables": list(self._missing)[:100]},
        )
