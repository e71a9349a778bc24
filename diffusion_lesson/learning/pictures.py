"""One picture from its file: the central square of its pixels, upright, on white.

A file says more than pixels: when it was taken and where, in which colours, by which program. A decoder may refuse
the whole picture for one odd word of that. So the words are cut out before it sees the file, and only the turn is
read from them.
"""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MOST_BYTES = 2**28  # of a file; what Pillow takes for a decompression bomb, at 1 byte a value, is as large
_TURNS = (  # of EXIF's orientations 2..8, as Pillow names them
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90",
)  # fmt: skip


def picture(file: Path, size: int) -> np.ndarray:
    """The central square, resized to size × size: (1, size, size) if stored as grey, (3, size, size) if not.

    A palette of greys is grey. A picture of several frames is its first. Raises whatever the decoder raises for
    pixels that it can't read, and ValueError for a file that is too large.
    """
    from PIL import Image, UnidentifiedImageError

    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file.stat().st_size:,} bytes are more than {MOST_BYTES:,}")
    pixels, words = _parted(file.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # formats: for some others, whatever the file's name says, Pillow would start another program
        try:
            stored = Image.open(io.BytesIO(pixels), formats=("JPEG", "PNG", "WEBP"))
        except UnidentifiedImageError as error:
            raise ValueError("it is no JPEG, PNG or WebP") from error
    with stored:
        stored.draft(None, (2 * size, 2 * size))  # a large JPEG decodes fast at 1/2, 1/4 or 1/8, never below this
        image = _on_white(stored, pixels)
    turn = _turn(words)
    if turn > 1:
        image = image.transpose(Image.Transpose[_TURNS[turn - 2]])
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return np.asarray(square).reshape(size, size, -1).transpose(2, 0, 1)


def dimensions(file: Path) -> tuple[int, int]:
    """Width and height of a picture, as its pixels are stored. Raises whatever the decoder raises."""
    from PIL import Image

    with Image.open(io.BytesIO(_parted(file.read_bytes())[0]), formats=("JPEG", "PNG", "WEBP")) as stored:
        return stored.size


def _on_white(stored, pixels: bytes):  # type: ignore[no-untyped-def]  # Pillow's images, imported late
    """8 bits of grey (L) or of colour (RGB), and white where the picture is clear."""
    from PIL import Image

    stored.load()
    depth, kind = 8, -1
    if stored.format == "PNG":
        header = pixels.index(b"IHDR") + 12
        depth, kind = pixels[header], pixels[header + 1]  # bits of a value; 0 grey, 2 colour, 4 grey and alpha
    grey, clear, image = stored.mode in ("1", "L", "LA") or kind in (0, 4), stored.info.get("transparency"), stored
    if depth == 16 and kind == 0:  # Pillow's own conversion would clip 0..65535 at 255
        deep = np.asarray(stored, np.uint32)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
        if clear is not None:
            image.putalpha(Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8)))
    elif clear is not None and depth < 8 and stored.mode == "L":  # Pillow spreads the pixels over 0..255 …
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif clear is not None and depth == 16 and kind == 2:  # … or keeps their upper bytes
        del image.info["transparency"]
        deep = np.asarray(stored, np.uint16) * 256 + _lower_bytes(pixels)
        image.putalpha(Image.fromarray(np.where((deep == clear).all(-1), 0, 255).astype(np.uint8)))
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        white = Image.new("L" if grey else "RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    image = image.convert("L" if grey else "RGB")
    if stored.mode == "P":
        red, green, blue = map(np.asarray, image.split())
        if np.array_equal(red, green) and np.array_equal(green, blue):
            return image.getchannel(0)
    return image


def _lower_bytes(pixels: bytes) -> np.ndarray:
    """(H, W, 3): what Pillow leaves out of a PNG of 16 bits. Told that they come first, it keeps them instead."""
    from PIL import Image

    with Image.open(io.BytesIO(pixels), formats=("PNG",)) as stored:
        stored.tile = [tile._replace(args="RGB;16L") for tile in stored.tile]
        return np.asarray(stored)


def _parted(raw: bytes) -> tuple[bytes, list[bytes]]:
    """(the file with nothing but its pixels, the words); a file of no known format stays as it is."""
    if raw.startswith(b"\xff\xd8"):
        head, parts = raw[:2], [*_of_jpeg(raw)]
    elif raw.startswith(b"\x89PNG\r\n\x1a\n"):
        head, parts = raw[:8], [*_of_png(raw)]
    elif raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        parts = [*_of_webp(raw)]
        length = 4 + sum(len(part) for needed, part, _ in parts if needed)
        head = b"RIFF" + length.to_bytes(4, "little") + b"WEBP"
    else:
        return raw, []
    kept = [part for needed, part, _ in parts if needed]
    return b"".join([head, *kept]), [words for needed, _, words in parts if not needed]


Part = tuple[bool, memoryview | bytes, bytes]  # whether the pixels need it, all of it, its content


def _of_jpeg(raw: bytes) -> Iterator[Part]:
    """The segments. What stands between them is passed over, as decoders do."""
    view, at, marker = memoryview(raw), 2, re.compile(rb"\xff+([^\x00\xff])")
    while found := marker.search(raw, at):
        code, begin, at = found[1][0], found.end() - 2, found.end()
        length = int.from_bytes(raw[at : at + 2])
        content = raw[at + 2 : at + length]
        if code in (0xDA, 0xD9) or length < 2:  # the pixels begin, or it ends: the rest is not in segments
            yield True, view[begin:], b""
            return
        needed = not (0xE0 <= code <= 0xEF or code == 0xFE)
        if code == 0xE0:
            needed = content.startswith(b"JFIF\0") and len(content) >= 14
        elif code == 0xEE:  # says how colours are stored
            needed = content.startswith(b"Adobe") and len(content) >= 12
        at += length
        yield needed, view[begin:at], content


def _of_png(raw: bytes) -> Iterator[Part]:
    view, at = memoryview(raw), 8
    while at + 8 <= len(raw):
        length, kind = int.from_bytes(raw[at : at + 4]), raw[at + 4 : at + 8]
        end = at + 12 + length
        needed = kind == b"tRNS" or not kind[0] & 0x20  # a small first letter: a reader may pass it over
        yield needed, view[at:end], b"" if needed else raw[at + 8 : end - 4]
        at = end


def _of_webp(raw: bytes) -> Iterator[Part]:
    view, at = memoryview(raw), 12
    while at + 8 <= len(raw):
        kind, begin = raw[at : at + 4], at + 8
        end = begin + int.from_bytes(raw[at + 4 : begin], "little")
        needed = kind in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
        part: memoryview | bytes = view[at : end + end % 2]
        if kind == b"VP8X" and end > begin:  # its flags name the parts: alpha and animation are left
            part = b"".join([part[:8], bytes([raw[begin] & 0b10010]), part[9:]])
        yield needed, part, b"" if needed else raw[begin:end]
        at = end + end % 2


def _turn(words: list[bytes]) -> int:
    """EXIF's orientation 1..8, or XMP's; 1 where there is none that can be read."""
    turns = [_exif_turn(_unhexed(part).removeprefix(b"Exif\0\0")) for part in words]
    for part in words:
        found = re.search(rb"tiff:Orientation(?:=[\"\']|>)\s*([0-9])", part)
        turns.append(int(found[1]) if found else None)
    turn = next((turn for turn in turns if turn is not None), 1)
    return turn if 1 <= turn <= 8 else 1


def _exif_turn(tiff: bytes) -> int | None:
    """Tag 0x0112 of the first directory, where it is a whole number. Slices beyond the end are empty, and 0."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return None

    def number(begin: int, length: int) -> int:
        return int.from_bytes(tiff[begin : begin + length], order)  # type: ignore[arg-type]

    first = number(4, 4) + 2
    for at in range(first, min(first + 12 * number(first - 2, 2), len(tiff) - 11), 12):
        if number(at, 2) == 0x0112:
            length = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}.get(number(at + 2, 2))
            return number(at + 8, length) if length else None
    return None


def _unhexed(part: bytes) -> bytes:
    """EXIF as ImageMagick keeps it in a PNG's text, as lines of hexadecimal digits; other parts as they are."""
    name, _, text = part.partition(b"\0")
    if name != b"Raw profile type exif":
        return part
    try:
        if text.startswith(b"\0"):
            text = zlib.decompressobj().decompress(text[1:], 2**20)
        return bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
    except (ValueError, zlib.error):
        return b""
