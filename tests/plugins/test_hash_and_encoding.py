"""`hash` and `encoding` agree with Python's own hashlib, hmac, zlib, base64 and urllib."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

DIGESTS = {
    "sha256": "sha256", "sha512": "sha512", "sha224": "sha224", "sha384": "sha384", "sha1": "sha1", "md5": "md5",
    "sha3-256": "sha3_256", "sha3-512": "sha3_512", "blake2b": "blake2b",
}  # fmt: skip
CHECKSUMS: dict[str, Callable[[bytes], int]] = {"crc32": zlib.crc32, "adler32": zlib.adler32}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "base32hex": base64.b32hexencode,
    "hex": base64.b16encode,
}
# Around the lengths at which one more block is needed.
LENGTHS = [0, 1, 3, 55, 56, 63, 64, 65, 71, 72, 73, 111, 112, 119, 127, 128, 129, 135, 136, 137, 143, 144, 1000]


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_digests_equal_hashlib_at_every_block_boundary(plugins: BundledPlugins, algorithm: str) -> None:
    for length in LENGTHS:
        data = bytes(index * 7 % 256 for index in range(length))
        result = plugins.call("hash", "digest", data=data.hex(), data_format="hex", algorithm=algorithm)
        expected = hashlib.new(DIGESTS[algorithm], data).digest()
        assert (result["hex"], base64.b64decode(result["base64"])) == (expected.hex(), expected)
        assert result["bytes"] == length


@settings(max_examples=60)
@given(data=st.binary(max_size=300), key=st.binary(max_size=200), algorithm=st.sampled_from(sorted(DIGESTS)))
def test_hmac_equals_pythons(plugins: BundledPlugins, data: bytes, key: bytes, algorithm: str) -> None:
    expected = hmac.new(key, data, DIGESTS[algorithm]).hexdigest()
    result = plugins.call(
        *("hash", "hmac"), data=base64.b64encode(data).decode(), data_format="base64", key=key.hex(), key_format="hex",
        algorithm=algorithm, expected=expected.upper(),
    )  # fmt: skip
    assert (result["hex"], result["matches"]) == (expected, True)


@settings(max_examples=40)
@given(text=st.text(max_size=200), algorithm=st.sampled_from(sorted(CHECKSUMS)))
def test_checksums_of_text_are_those_of_its_utf8(plugins: BundledPlugins, text: str, algorithm: str) -> None:
    result = plugins.call("hash", "digest", data=text, algorithm=algorithm, expected="00000000")
    assert int(result["hex"], 16) == CHECKSUMS[algorithm](text.encode())
    assert result["matches"] is (result["hex"] == "00000000")


@settings(max_examples=100)
@given(data=st.binary(max_size=100), form=st.sampled_from(sorted(ENCODERS)), pad=st.booleans())
def test_encodings_equal_pythons_and_decode_to_the_same_bytes(
    plugins: BundledPlugins, data: bytes, form: str, pad: bool
) -> None:
    encoded = plugins.call("encoding", "encode", data=data.hex(), data_format="hex", to=form, padding=pad)["encoded"]
    expected = ENCODERS[form](data).decode()
    assert encoded == (expected.lower() if form == "hex" else expected if pad else expected.rstrip("="))
    wrapped = "\r\n".join(encoded[start : start + 20] for start in range(0, len(encoded), 20))
    for spelled in (encoded, wrapped, encoded.swapcase() if form in {"hex", "base32", "base32hex"} else encoded):
        decoded = plugins.call("encoding", "decode", encoded=spelled, **{"from": form}, output="base64")
        assert decoded == {"data": base64.b64encode(data).decode(), "bytes": len(data)}


@settings(max_examples=80)
@given(text=st.text(max_size=60), keep=st.text("!$&'()*+,/:;=?@", max_size=5))
def test_percent_encoding_equals_urllib(plugins: BundledPlugins, text: str, keep: str) -> None:
    encoded = plugins.call("encoding", "encode", data=text, to="percent", keep=keep)["encoded"]
    assert encoded == urllib.parse.quote(text, safe=keep)
    assert plugins.call("encoding", "decode", encoded=encoded, **{"from": "percent"})["data"] == text


@pytest.mark.parametrize(
    ("form", "encoded", "expected"),
    [
        ("base64", "aGVsbG9", "bits that no encoder writes"),
        ("base64", "aGVsb", "no whole number of bytes"),
        ("base64", "aGVsbG8==", "2 padding characters"),
        ("base64", "aG=VsbG8", "unexpected 'V' at character 4"),
        ("base64", "a-_b", "unexpected '-' at character 2"),
        ("base64url", "a+/b", "unexpected '+' at character 2"),
        ("base32", "MZXW6Y1", "unexpected '1' at character 7"),
        ("hex", "é0", "unexpected 'é' at character 1"),
        ("hex", "0", "no whole number of bytes"),
        ("hex", "00=", "unexpected '='"),
        ("percent", "a%2", "at character 2"),
        ("percent", "%zz", "at character 1"),
        ("hex", "ff", "no UTF-8 text (byte 1 of 1"),
        ("percent", "%ed%a0%80", "no UTF-8 text"),
    ],
)
def test_wrong_encodings_are_refused_with_the_place(
    plugins: BundledPlugins, form: str, encoded: str, expected: str
) -> None:
    assert expected in plugins.refusal("encoding", "decode", encoded=encoded, **{"from": form})


def test_a_wrong_hexadecimal_argument_is_refused(plugins: BundledPlugins) -> None:
    assert "data is not valid hex" in plugins.refusal("hash", "digest", data="0g", data_format="hex")
    assert "expected is not valid hex" in plugins.refusal("hash", "digest", data="", expected="xyz")
    assert "not one of: sha256" in plugins.refusal("hash", "digest", data="", algorithm="sha0")
    assert "not one of: sha256" in plugins.refusal("hash", "hmac", key="", data="", algorithm="crc32")
