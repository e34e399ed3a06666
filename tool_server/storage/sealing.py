"""Encryption of secrets at rest, and of what clients keep for the server: AES-256-GCM, a fresh nonce every time.

What a secret is bound to — its name, its hosts — is the associated data: a row whose name or hosts somebody changed in
the database, or whose ciphertext is another row's, cannot be opened any more.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from tool_server.errors import InvalidInput, Unavailable

KEY_BYTES = 32
FILE_NAME = "secrets.key"

_NONCE_BYTES = 12
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{64}")
_HOW = "64 hexadecimal digits, such as 'openssl rand -hex 32' prints"


class Sealer:
    """Encrypts and decrypts with the operator's key.

    Args:
        key: 64 hexadecimal digits, or empty for the file.
        folder: where the key file is.
        file_name: the key file's.
    """

    def __init__(self, key: str, folder: Path, file_name: str = FILE_NAME) -> None:
        self._setting = key.strip()
        self._file = folder / file_name

    def make_key(self) -> None:
        """Make the key file where neither it nor a setting is there; another process may do so at the same time.

        Raises:
            Unavailable: `secrets_key`, it cannot be written.
        """
        if self._setting or self._file.exists():
            return
        draft = self._file.with_name(f"{self._file.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{secrets.token_hex(KEY_BYTES)}\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                # Unlike a rename, a link never replaces the key that another process has made meanwhile.
                os.link(draft, self._file)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        except OSError as error:
            raise Unavailable("secrets_key", f"cannot write the key {self._file}: {error.strerror}") from error

    def seal(self, value: bytes, bound_to: bytes) -> bytes:
        """Nonce and ciphertext.

        Args:
            value: whatever is to be kept from others.
            bound_to: must be given again to `open`.

        Raises:
            InvalidInput: `invalid_secrets_key`.
            Unavailable: `secrets_key`.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key()).encrypt(nonce, value, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """The value that was sealed.

        Raises:
            InvalidInput: `invalid_secrets_key`.
            Unavailable: `secrets_key`, the key is missing or another one, or the row was tampered with.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = AESGCM(self._key())
        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:
            raise Unavailable(
                "secrets_key",
                "the stored secrets were encrypted with another key, or changed since: give the right key in "
                f"TOOL_SERVER_SECRETS_KEY or {FILE_NAME}, or remove the secrets and set them again",
            ) from error

    def _key(self) -> bytes:
        if self._setting:
            if not _HEXADECIMAL.fullmatch(self._setting):
                raise InvalidInput("invalid_secrets_key", f"TOOL_SERVER_SECRETS_KEY is no key: it must be {_HOW}")
            return bytes.fromhex(self._setting)
        try:
            mode = self._file.stat().st_mode
            text = self._file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(
                "secrets_key",
                f"the key of the stored secrets, {self._file}, cannot be read: restore it from a backup, or remove the "
                "secrets and set them again",
            ) from error
        if mode & 0o077:
            raise Unavailable(
                "secrets_key", f"others can read the key {self._file}: take that away with 'chmod 600 {self._file}'"
            )
        if not _HEXADECIMAL.fullmatch(text):
            raise Unavailable("secrets_key", f"{self._file} holds no key: it must be {_HOW}")
        return bytes.fromhex(text)
