"""Names of keyring entries among the secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.model.keyring import keyring_secret_name
from tool_server.model.permission import Permissions
from tool_server.model.secret import check_secret_name

ENTRIES = st.tuples(st.text(max_size=80) | st.text("ab.-_1", max_size=4), st.text("ab.-_1", max_size=4))


@pytest.mark.parametrize(
    ("service", "user", "name"),
    [
        ("my-app", "admin", "my-app.admin"),
        ("_a", "1", "_a.1"),
        ("login.example.com", "me", "keyring.login_example_com_me."),
        ("1st", "me", "keyring.1st_me."),
        ("", "", "keyring.entry."),
        ("ü", "ö", "keyring.entry."),
        ("a" * 70, "b", f"keyring.{'a' * 40}."),
    ],
)
def test_a_simple_entry_is_called_service_and_user_any_other_by_its_hash(service: str, user: str, name: str) -> None:
    assert keyring_secret_name(service, user).startswith(name)


@given(ENTRIES)
def test_every_entry_has_a_name_that_a_secret_and_a_permission_can_have(entry: tuple[str, str]) -> None:
    name = check_secret_name(keyring_secret_name(*entry))
    Permissions(secrets=(name,)).check_requested()
    assert "." in name


@given(ENTRIES, ENTRIES)
def test_two_entries_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (keyring_secret_name(*one) == keyring_secret_name(*other)) == (one == other)
