"""`qr-code` makes symbols that an independent reader (ZXing) reads back."""

from __future__ import annotations

import base64
import re
import struct
import zlib

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

CAPACITIES = {"L": 2953, "M": 2331, "Q": 1663, "H": 1273}


def pixels_of(png: bytes) -> list[bytes]:
    """The rows of a PNG image of one bit per pixel, one byte for each pixel; every checksum is checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: list[tuple[bytes, bytes]] = []
    position = 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        data = png[position + 8 : position + 8 + length]
        assert zlib.crc32(kind + data) == struct.unpack_from(">I", png, position + 8 + length)[0]
        chunks.append((kind, data))
        position += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    assert form == [1, 0, 0, 0, 0]
    raw = zlib.decompress(chunks[1][1])
    stride = 1 + (width + 7) // 8
    assert len(raw) == stride * height
    rows = (raw[start : start + stride] for start in range(0, len(raw), stride))
    return [bytes(255 * (row[1 + x // 8] >> 7 - x % 8 & 1) for x in range(width)) for row in rows if row[0] == 0]


def read(rows: list[bytes]) -> bytes:
    image = memoryview(b"".join(rows)).cast("B", (len(rows), len(rows[0])))
    # The reader may also take stripes of a large symbol for a bar code of another kind.
    found = [barcode for barcode in zxingcpp.read_barcodes(image) if barcode.format.name == "QRCode"]
    assert len(found) == 1
    return bytes(found[0].bytes)


def create(plugins: BundledPlugins, **arguments: object) -> tuple[list[bytes], str]:
    image, text = plugins.call("qr-code", "create", **arguments)["content"]
    assert (image["type"], image["mimeType"], text["type"]) == ("image", "image/png", "text")
    return pixels_of(base64.b64decode(image["data"])), text["text"]


@pytest.mark.parametrize("level", CAPACITIES)
def test_all_forty_versions_can_be_read(plugins: BundledPlugins, level: str) -> None:
    for version in range(1, 41):
        rows, text = create(plugins, text="4711Ab", level=level, min_version=version, scale=2)
        assert read(rows) == b"4711Ab"
        assert f"version {version}, level {level}" in text
        assert len(rows) == (17 + 4 * version + 8) * 2


@settings(max_examples=40)
@given(
    text=st.text(min_size=1, max_size=120) | st.text("0123456789", min_size=1) | st.text("AZ 09$%*+-./:", min_size=1),
    level=st.sampled_from("LMQH"),
    scale=st.integers(2, 5),
)
def test_any_text_is_read_back(plugins: BundledPlugins, text: str, level: str, scale: int) -> None:
    rows, description = create(plugins, text=text, level=level, scale=scale)
    assert read(rows) == text.encode()
    mode = "numeric" if re.fullmatch("[0-9]+", text) else "byte"
    mode = "alphanumeric" if mode == "byte" and re.fullmatch(r"[0-9A-Z $%*+./:-]+", text) else mode
    assert f"{mode} mode" in description


@pytest.mark.parametrize(("level", "most"), CAPACITIES.items())
def test_the_largest_text_fits_and_one_byte_more_does_not(plugins: BundledPlugins, level: str, most: int) -> None:
    text = "".join(chr(97 + index * index % 26) for index in range(most))
    rows, _ = create(plugins, text=text, level=level, scale=3)
    assert read(rows) == text.encode()
    assert f"at level {level}" in plugins.refusal("qr-code", "create", text=text + "a", level=level)


@pytest.mark.parametrize(("level", "digits"), [("L", 7089), ("M", 5596), ("Q", 3993), ("H", 3057)])
def test_digits_alone_fill_a_symbol_to_the_standards_capacity(plugins: BundledPlugins, level: str, digits: int) -> None:
    assert plugins.call("qr-code", "matrix", text="7" * digits, level=level)["version"] == 40
    assert "too many" in plugins.refusal("qr-code", "matrix", text="7" * (digits + 1), level=level)


@settings(max_examples=15)
@given(text=st.text("AbC1é", min_size=1, max_size=60), border=st.integers(0, 6), scale=st.integers(1, 6))
def test_image_svg_and_matrix_show_the_same_modules(
    plugins: BundledPlugins, text: str, border: int, scale: int
) -> None:
    matrix = plugins.call("qr-code", "matrix", text=text)
    size = matrix["size"]
    assert [len(row) for row in matrix["rows"]] == [size] * size
    rows, _ = create(plugins, text=text, border=border, scale=scale)
    light = bytes([255]) * (border * scale)
    for index, row in enumerate(matrix["rows"]):
        drawn = b"".join(bytes([0 if module == "1" else 255]) * scale for module in row)
        assert rows[(border + index) * scale : (border + index + 1) * scale] == [light + drawn + light] * scale
    svg = plugins.call("qr-code", "svg", text=text, border=border)
    assert f'viewBox="0 0 {size + 2 * border} {size + 2 * border}"' in svg["svg"]
    drawn_modules = {
        (int(x) + step, int(y))
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-", svg["svg"])
        for step in range(int(width))
    }
    assert drawn_modules == {
        (x + border, y + border)
        for y, row in enumerate(matrix["rows"])
        for x, module in enumerate(row)
        if module == "1"
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"text": ""}, "'text' is empty"),
        ({"text": "a", "level": "X"}, "not one of: L, M, Q, H"),
        ({"text": "a", "scale": 0}, "from 1 to 40"),
        ({"text": "a", "min_version": 41}, "from 1 to 40"),
        ({"text": "a", "min_version": 40, "scale": 30}, "more than 4096"),
        ({}, "'text' is missing"),
    ],
)
def test_what_cannot_be_drawn_is_refused(plugins: BundledPlugins, arguments: dict[str, object], expected: str) -> None:
    assert expected in plugins.refusal("qr-code", "create", **arguments)
