"""Pictures from their files: pixels as they are stored, whatever else the file says of itself."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lesson.learning import pictures
from diffusion_lesson.learning.data import image_folder


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)


def only(folder, size):
    """The one picture in a folder, (H, W) or (H, W, 3)."""
    (image,) = image_folder(folder, size).images.numpy()
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def test_colour_planes_and_rows(tmp_path):
    pixels = noise(5, 5, 3)
    save(tmp_path / "a.png", pixels)
    images = image_folder(tmp_path, 5).images
    assert images.shape == (1, 3, 5, 5)
    assert torch.equal(images[0], torch.from_numpy(pixels.transpose(2, 0, 1).copy()))


def test_grey_stays_grey_until_one_has_colour(tmp_path):
    grey, colour = noise(4, 4), noise(4, 4, 3)
    save(tmp_path / "1.png", grey)
    assert image_folder(tmp_path, 4).images.tolist() == [[grey.tolist()]]
    save(tmp_path / "2.png", colour)
    images = image_folder(tmp_path, 4).images
    assert images[0].tolist() == [grey.tolist()] * 3
    assert images[1].tolist() == colour.transpose(2, 0, 1).tolist()


@pytest.mark.parametrize("shape", [(4, 12), (12, 4), (4, 5), (5, 4)])
def test_the_central_square_is_kept(tmp_path, shape):
    pixels = noise(*shape)
    save(tmp_path / "a.png", pixels)
    top, left = ((length - 4) // 2 for length in shape)
    assert np.array_equal(only(tmp_path, 4), pixels[top : top + 4, left : left + 4])


def test_resizing_averages(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    save(tmp_path / "a.png", board.astype(np.uint8))
    assert np.abs(only(tmp_path, 8).astype(int) - 127).max() <= 3, "not every eighth pixel, which is black"
    assert only(tmp_path, 100).shape == (100, 100)


def test_a_large_jpeg_keeps_its_colours_and_its_middle(tmp_path):
    ramp = np.linspace(0, 255, 640)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:480, None], 90.0), -1)
    save(tmp_path / "a.jpg", pixels.round().astype(np.uint8), quality=95)
    found = only(tmp_path, 24).astype(float)
    middle = pixels[:, 80:560].reshape(24, 20, 24, 20, 3).mean((1, 3))
    assert np.abs(found - middle).max() < 5


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("suffix", "options"), [("png", {}), ("webp", {"lossless": True}), ("jpg", {"quality": 95})]
)
def test_a_picture_stands_as_its_camera_was_held(tmp_path, orientation, suffix, options):
    pixels = np.kron(noise(2, 2, 3, seed=1), np.ones((8, 8, 1), np.uint8))  # four coloured quarters
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{suffix}", pixels, exif=exif, **options)
    error = np.abs(only(tmp_path, 16).astype(int) - UPRIGHT[orientation](pixels))
    assert error.mean() <= (8 if suffix == "jpg" else 0)  # JPEG blurs colours where the quarters meet


def test_modes_of_storage(tmp_path):
    colour, grey = noise(6, 6, 3), noise(6, 6)
    quantized = Image.fromarray(colour).quantize(16)
    save(tmp_path / "palette" / "a.png", quantized)
    assert np.array_equal(only(tmp_path / "palette", 6), np.asarray(quantized.convert("RGB")))
    save(tmp_path / "bits" / "a.png", Image.fromarray(grey).convert("1"))
    bits = only(tmp_path / "bits", 6)
    assert bits.ndim == 2
    assert set(bits.flat) == {0, 255}
    save(tmp_path / "cmyk" / "a.jpg", Image.new("CMYK", (6, 6), (0, 255, 255, 0)))
    assert np.abs(only(tmp_path / "cmyk", 6).astype(int) - [255, 0, 0]).max() < 12
    save(tmp_path / "webp" / "a.webp", colour, lossless=True)
    assert np.array_equal(only(tmp_path / "webp", 6), colour)
    save(tmp_path / "jpeg" / "a.jpeg", np.full((6, 6), 77, np.uint8))
    assert only(tmp_path / "jpeg", 6).tolist() == [[77] * 6] * 6
    save(tmp_path / "misnamed" / "a.jpg", colour, format="PNG")
    assert np.array_equal(only(tmp_path / "misnamed", 6), colour)


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0], rgba[0, 1], rgba[1, 0], rgba[1, 1] = (
        (255, 0, 0, 255),
        (255, 0, 0, 51),
        (9, 9, 9, 0),
        (0, 0, 255, 255),
    )
    save(tmp_path / "rgba" / "a.png", rgba)
    assert only(tmp_path / "rgba", 2).tolist() == [[[255, 0, 0], [255, 204, 204]], [[255, 255, 255], [0, 0, 255]]]
    grey = Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])])
    save(tmp_path / "grey" / "a.png", grey)
    assert only(tmp_path / "grey", 2).tolist() == [[255, 255], [255, 0]]
    # One colour of a picture without alpha may also mean "nothing here".
    save(tmp_path / "key" / "a.png", np.array([[[1, 2, 3], [4, 5, 6]]] * 2, np.uint8), transparency=(1, 2, 3))
    assert only(tmp_path / "key", 2).tolist() == [[[255, 255, 255], [4, 5, 6]]] * 2
    save(tmp_path / "greykey" / "a.png", np.array([[1, 2]] * 2, np.uint8), transparency=1)
    assert only(tmp_path / "greykey", 2).tolist() == [[255, 2]] * 2
    palette = Image.fromarray(np.array([[0, 1]] * 2, np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    save(tmp_path / "palette" / "a.png", palette, transparency=0)
    assert only(tmp_path / "palette", 2).tolist() == [[[255, 255, 255], [40, 50, 60]]] * 2


def chunk(kind, content, crc=0):
    crc ^= zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png(depth, kind, shape, rows, *before, after=b""):
    """A PNG from its packed rows, with other chunks before and after them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], depth, kind, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(row) for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + packed + after + chunk(b"IEND", b"")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# What PNG keeps in more or fewer than 8 bits


def test_sixteen_bits_of_grey_are_scaled_not_cut(tmp_path):
    deep = np.array([[0, 257, 128 * 257, 65535]] * 4, np.uint16)
    save(tmp_path / "a.png", deep)
    assert only(tmp_path, 4).tolist() == [[0, 1, 128, 255]] * 4


def test_sixteen_bits_are_rounded(tmp_path):
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    save(tmp_path / "a.png", deep)
    assert np.array_equal(only(tmp_path, 256), np.rint(deep / 257))


SHADES = {1: [0, 1], 2: [0, 1, 2, 3], 4: [0, 5, 9, 15], 8: [0, 77, 200, 255], 16: [0, 30000, 30001, 65535]}


def rows_of(values, depth):
    """Two equal rows, packed as PNG does."""
    bits = "".join(f"{value:0{depth}b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return [int(bits, 2).to_bytes(len(bits) // 8)] * len(values)


@pytest.mark.parametrize("depth", SHADES)
def test_a_clear_grey_is_white_at_every_depth(tmp_path, depth):
    values = SHADES[depth]
    top, side = 2**depth - 1, len(values)
    for clear in values:
        key = chunk(b"tRNS", struct.pack(">H", clear))
        write(tmp_path / str(clear) / "a.png", png(depth, 0, (side, side), rows_of(values, depth), key))
        expected = [255 if value == clear else round(value * 255 / top) for value in values]
        assert only(tmp_path / str(clear), side).tolist() == [expected] * side


@pytest.mark.parametrize("depth", [8, 16])
def test_a_clear_colour_is_white_at_every_depth(tmp_path, depth):
    top = 2**depth - 1
    flat = [top, 0, 0x33CC >> 16 - depth, 0, top, 0]  # the third's lower byte is not as its upper one
    key = chunk(b"tRNS", struct.pack(">3H", *flat[:3]))
    write(tmp_path / "a.png", png(depth, 2, (2, 2), [np.array(flat, f">u{depth // 8}").tobytes()] * 2, key))
    assert only(tmp_path, 2).tolist() == [[[255, 255, 255], [0, 255, 0]]] * 2


def test_a_clear_colour_of_sixteen_bits_is_told_from_its_neighbours(tmp_path):
    clear, near = (0x1234, 0x5678, 0x9ABC), (0x1234, 0x5678, 0x9ABD)
    key, row = chunk(b"tRNS", struct.pack(">3H", *clear)), np.array([*clear, *near], ">u2").tobytes()
    write(tmp_path / "a.png", png(16, 2, (2, 2), [row] * 2, key))
    assert only(tmp_path, 2).tolist() == [[[255, 255, 255], [0x12, 0x56, 0x9A]]] * 2


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_alpha_is_grey_at_every_depth(tmp_path, depth):
    top = 2**depth - 1
    row = np.array([[0, 0], [0, top], [top // 5 * 2, top], [0, top // 5]], f">u{depth // 8}").tobytes()
    write(tmp_path / "a.png", png(depth, 4, (4, 4), [row] * 4))
    assert only(tmp_path, 4).tolist() == [[255, 0, 102, 204]] * 4


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_of_greys_is_grey(tmp_path, depth):
    values = range(min(2**depth, 4))
    shades = [0, 90, 180, 255][: len(values)]
    palette = chunk(b"PLTE", bytes(shade for shade in shades for _ in range(3)))
    clear = chunk(b"tRNS", b"\xff\x00")
    side = len(values)
    write(tmp_path / "full" / "a.png", png(depth, 3, (side, side), rows_of(values, depth), palette))
    write(tmp_path / "clear" / "a.png", png(depth, 3, (side, side), rows_of(values, depth), palette, clear))
    assert only(tmp_path / "full", side).tolist() == [shades] * side
    assert only(tmp_path / "clear", side).tolist() == [[shades[0], 255, *shades[2:]]] * side


# What has nothing to do with the pixels


def exif(*entries, order="<"):
    """EXIF of entries (tag, type, count, value as bytes)."""
    directory, more = struct.pack(order + "H", len(entries)), b""
    begin = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        directory += struct.pack(order + "HHI", tag, kind, count)
        directory += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", begin + len(more))
        more += value if len(value) > 4 else b""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + directory + bytes(4) + more


TURNED = (0x0112, 3, 1, struct.pack("<H", 6))
ODD_TAGS = {
    "signed": (0x011A, 10, 1, struct.pack("<ii", -72, 1)),
    "text": (0x011A, 2, 3, b"72\0"),
    "unit": (0x0128, 4, 1, struct.pack("<I", 70000)),
    "0/0": (0x011A, 5, 1, struct.pack("<II", 0, 0)),
    "1/0": (0x829A, 5, 1, struct.pack("<II", 1, 0)),
    "no type": (0x010F, 77, 1, b"abcd"),
    "no end": (0x010F, 2, 2**32 - 1, b"abcd"),
    "elsewhere": (0x8769, 4, 1, struct.pack("<I", 2**31)),
    "itself": (0x8769, 4, 1, struct.pack("<I", 8)),
    "signed bytes": (0x9000, 6, 4, b"0230"),
    "float": (0x0100, 11, 1, struct.pack("<f", float("nan"))),
    "many": (0x0111, 4, 2**28, struct.pack("<I", 8)),
    "latin": (0x013B, 2, 4, b"\xe9\xff\xfe\0"),
    "none": (0x0132, 2, 0, b""),
    "mark": (0x0000, 0, 0, b""),
}
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>"


def segment(code, content):
    return bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments, pixels=None):
    """A ramp, darkest left, with segments in front of it."""
    content = io.BytesIO()
    Image.fromarray(RAMP if pixels is None else pixels).save(content, "JPEG", quality=95)
    return content.getvalue()[:2] + b"".join(segments) + content.getvalue()[2:]


def ramp_png(*before, after=b""):
    return png(8, 0, RAMP.shape, RAMP, *before, after=after)


def riff(kind, content):
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp(*after, flags=0):
    """The ramp as WebP, other chunks after it."""
    content = io.BytesIO()
    Image.fromarray(RAMP).convert("RGB").save(content, "WEBP", lossless=True)
    size = b"".join((side - 1).to_bytes(3, "little") for side in RAMP.shape[::-1])
    body = b"WEBP" + riff(b"VP8X", bytes([flags, 0, 0, 0]) + size) + content.getvalue()[12:] + b"".join(after)
    return b"RIFF" + struct.pack("<I", len(body)) + body


RAMP = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
APP1 = b"Exif\0\0" + exif(TURNED)
UPRIGHT_BY_EXIF = {
    **{f"jpeg, {name}": jpeg(segment(0xE1, b"Exif\0\0" + exif(TURNED, tag))) for name, tag in ODD_TAGS.items()},
    **{f"png, {name}": ramp_png(chunk(b"eXIf", exif(TURNED, tag))) for name, tag in ODD_TAGS.items()},
    **{f"webp, {name}": webp(riff(b"EXIF", exif(TURNED, tag)), flags=8) for name, tag in ODD_TAGS.items()},
    "jpeg, big endian": jpeg(segment(0xE1, b"Exif\0\0" + exif((0x0112, 3, 1, b"\0\6"), order=">"))),
    "jpeg, long": jpeg(segment(0xE1, b"Exif\0\0" + exif((0x0112, 4, 1, b"\6\0\0\0")))),
    "jpeg, MPF that is none": jpeg(segment(0xE1, APP1), segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff")),
    "jpeg, profile of no parts": jpeg(segment(0xE1, APP1), segment(0xE2, b"ICC_PROFILE\0")),
    "jpeg, profile of garbage": jpeg(segment(0xE1, APP1), segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(range(200)))),
    "jpeg, short JFIF": jpeg(segment(0xE0, b"JFIF\0\1"), segment(0xE1, APP1)),
    "jpeg, short Adobe": jpeg(segment(0xEE, b"Adobe\0"), segment(0xE1, APP1)),
    "jpeg, Photoshop of garbage": jpeg(segment(0xED, b"Photoshop 3.0\0008BIM\4"), segment(0xE1, APP1)),
    "jpeg, XMP that is not UTF-8": jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff"), segment(0xE1, APP1)),
    "jpeg, garbage between segments": jpeg(segment(0xE1, APP1), b"\0\1garbage\xff\0", segment(0xFE, b"a comment")),
    "jpeg, fill bytes": jpeg(b"\xff\xff\xff", segment(0xE1, APP1), b"\xff\xff"),
    "jpeg, XMP": jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
    "png, wrong checksum": ramp_png(chunk(b"tEXt", b"a\0b", crc=1), chunk(b"eXIf", exif(TURNED))),
    "png, EXIF last": ramp_png(after=chunk(b"eXIf", exif(TURNED))),
    "png, much text": ramp_png(
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21))), chunk(b"eXIf", exif(TURNED))
    ),
    "png, profile of garbage": ramp_png(chunk(b"iCCP", b"a"), chunk(b"eXIf", exif(TURNED))),
    "png, short chunks": ramp_png(
        *(chunk(name, b"") for name in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL", b"iTXt", b"tEXt")),
        chunk(b"eXIf", exif(TURNED)),
    ),
    "png, cut after the pixels": ramp_png(chunk(b"eXIf", exif(TURNED)))[:-12] + b"\0\1\0\0tEXtcut",
    "png, ImageMagick's": ramp_png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 38\n" + APP1.hex().encode())),
    "png, ImageMagick's, packed": ramp_png(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 38\n" + APP1.hex().encode()))
    ),
    "png, XMP": ramp_png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
    "webp, with Exif in front": webp(riff(b"EXIF", APP1), flags=8),
    "webp, cut after the pixels": webp(riff(b"EXIF", exif(TURNED)), riff(b"XMP ", bytes(99)), flags=12)[:-50],
    "webp, profile of garbage": webp(riff(b"ICCP", b"abc"), riff(b"EXIF", exif(TURNED)), flags=0x28),
    "webp, XMP": webp(riff(b"XMP ", XMP), flags=4),
    "webp, no flags": webp(riff(b"EXIF", exif(TURNED))),
}
AS_STORED = {
    "jpeg, EXIF cut": jpeg(segment(0xE1, APP1[:20])),
    "jpeg, EXIF of no directory": jpeg(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "jpeg, empty EXIF": jpeg(segment(0xE1, b"Exif\0\0")),
    "jpeg, orientation 0": jpeg(segment(0xE1, b"Exif\0\0" + exif((0x0112, 3, 1, b"\0\0")))),
    "jpeg, orientation 9": jpeg(segment(0xE1, b"Exif\0\0" + exif((0x0112, 3, 1, b"\t\0")))),
    "jpeg, orientation of text": jpeg(segment(0xE1, b"Exif\0\0" + exif((0x0112, 2, 2, b"6\0")))),
    "jpeg, EXIF's 1 counts more than XMP": jpeg(
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        segment(0xE1, b"Exif\0\0" + exif((0x0112, 3, 1, b"\1\0"))),
    ),
    "png, ImageMagick's of garbage": ramp_png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 9\nxyz")),
    "png, ImageMagick's, wrongly packed": ramp_png(chunk(b"zTXt", b"Raw profile type exif\0\0xyz")),
}


@pytest.mark.parametrize(
    ("content", "upright"),
    [(content, np.rot90(RAMP, -1)) for content in UPRIGHT_BY_EXIF.values()]
    + [(content, RAMP) for content in AS_STORED.values()],
    ids=[*UPRIGHT_BY_EXIF, *AS_STORED],
)
def test_words_beside_the_pixels_cannot_spoil_them(tmp_path, content, upright):
    """Warnings are errors here, so none of Pillow's about the words comes through either."""
    write(tmp_path / "a.jpg", content)
    found = only(tmp_path, 48).astype(int)
    found = found if found.ndim == 2 else found[..., 0]
    top, left = ((length - 48) // 2 for length in upright.shape)
    assert np.abs(found - upright[top : top + 48, left : left + 48]).max() <= 4


def test_words_between_the_pixels_of_a_png_do_not_matter(tmp_path):
    whole = ramp_png()
    begin = whole.index(b"IDAT") - 4
    content = whole[begin + 8 : -16]
    parts = chunk(b"IDAT", content[:20]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", content[20:])
    write(tmp_path / "a.png", whole[:begin] + parts + whole[-12:])
    assert np.array_equal(only(tmp_path, 48), RAMP[:, 8:56])


def test_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (10, 20)]
    for name, kind in (("a.png", "PNG"), ("a.webp", "WEBP"), ("a.jpg", "MPO")):
        options = {"lossless": True} if kind == "WEBP" else {}
        save(tmp_path / kind / name, frames[0], format=kind, save_all=True, append_images=frames[1:], **options)
        assert abs(int(only(tmp_path / kind, 4).max()) - 10) <= 1


def test_colours_of_print_are_not_turned_to_their_negative(tmp_path):
    """The Adobe segment, which says how CMYK is stored, stays."""
    content = io.BytesIO()
    Image.new("CMYK", (6, 6), (0, 255, 255, 0)).save(content, "JPEG", exif=exif(TURNED))
    assert b"Adobe" in content.getvalue()
    write(tmp_path / "a.jpg", content.getvalue())
    assert np.abs(only(tmp_path, 6).astype(int) - [255, 0, 0]).max() < 12


# What can't be read


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""
    return png(8, 0, (height, width), [bytes(98)])


def packed(kind):
    content = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jpg", b"this is a text file", "it is no JPEG, PNG or WebP"),
        ("a.webp", b"", "it is no JPEG, PNG or WebP"),
        ("a.jpg", packed("JPEG")[:1500], "truncated"),
        ("a.png", png_header(40, 40), "truncated|not enough"),
        ("a.png", png_header(20_000, 20_000), "decompression bomb"),
        ("a.png", png_header(10_000, 10_000), "decompression bomb"),
        ("a.png", packed("GIF"), "it is no JPEG, PNG or WebP"),
    ],
    ids=["text", "empty", "truncated", "no pixels", "bomb", "smaller bomb", "other format"],
)
def test_a_picture_that_cannot_be_read_is_named(tmp_path, name, content, reason):
    save(tmp_path / "0.png", noise(4, 4))
    path = tmp_path / name
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside the tests, where a warning is no error
        with pytest.raises(ValueError, match=reason) as error:
            image_folder(tmp_path, 4)
    assert str(error.value).startswith(f"{path}: can't be read as a picture (")
    assert str(error.value).endswith("Repair, shrink or remove it")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    write(tmp_path / "a.png", ramp_png())
    monkeypatch.setattr(pictures, "MOST_BYTES", 99)
    with pytest.raises(ValueError, match=r"a\.png: can't be read as a picture \([0-9]+ bytes are more than 99\)"):
        image_folder(tmp_path, 4)


@pytest.mark.parametrize("place", ["header", "pixels"])
def test_damage_where_the_pixels_are_is_still_refused(tmp_path, place):
    whole = bytearray(ramp_png())
    whole[whole.index({"header": b"IHDR", "pixels": b"IDAT"}[place]) + 12] ^= 1
    write(tmp_path / "a.png", whole)
    with pytest.raises(ValueError, match=r"a\.png: can't be read as a picture"):
        image_folder(tmp_path, 4)
