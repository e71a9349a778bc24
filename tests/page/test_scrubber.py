import base64
import html
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lesson.page.frames import Noising
from diffusion_lesson.page.scrubber import TimestepSlider

RANDOM = np.random.default_rng(0)


def page(frames, labels=None, **options):
    labels = [f"t = {k}" for k in range(len(frames))] if labels is None else labels
    return TimestepSlider(frames, labels, caption="A caption", **options)._repr_mimebundle_()["text/html"]


def sheets(text):
    found = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) for data in found]


def noised(count, pictures, size=28):
    """Frames of the forward process: digits' stand-ins, then noise that stays."""
    x0 = np.repeat(RANDOM.uniform(-1, 1, (pictures, 1, size // 4, size // 4)), 4, 2).repeat(4, 3)
    eps, signal = RANDOM.standard_normal(x0.shape), np.cos(np.linspace(0, np.pi / 2, count))
    return Noising(x0, eps, signal**2)


def test_the_sheet_holds_every_frame_in_order():
    frames = np.linspace(-1, 1, 16).reshape(16, 1, 1) * np.ones((16, 3, 5))
    (sheet,) = sheets(page(torch.tensor(frames)))
    assert sheet.shape[:2] == (48, 5)
    assert sheet[1::3, 2, 0].tolist() == [17 * k for k in range(16)]


def test_pictures_of_a_batch_are_set_in_a_grid():
    frames = np.full((2, 3, 1, 4, 4), -1.0)
    frames[1, 2] = 1
    (sheet,) = sheets(page(frames, columns=2))
    assert sheet.shape[:2] == (2 * 9, 9)  # two rows and columns with a line between, two frames
    assert sheet[9 + 6, 2, 0] == 255
    assert sheet[9 + 1, 2, 0] == sheet[6, 2, 0] == 0


def test_colour_frames():
    frames = np.full((2, 3, 4, 4), -1.0)
    frames[1, 0] = 1
    (sheet,) = sheets(page(frames))
    assert sheet[5, 1].tolist() == [255, 0, 0]


def test_colour_pictures_of_a_batch_are_set_in_a_grid_and_keep_their_colours_in_the_filmstrip():
    frames = np.full((2, 3, 3, 4, 4), -1.0)  # steps, pictures, colours
    frames[1, 1, 1] = frames[1, 2, 2] = 1  # at the end the second is green, and the third blue
    text = page(frames, columns=2)
    (sheet,) = sheets(text)
    assert sheet.shape == (2 * 9, 9, 3)
    assert (sheet[9 + 1, 6].tolist(), sheet[9 + 6, 1].tolist()) == ([0, 255, 0], [0, 0, 255])
    stills = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    last = np.asarray(Image.open(io.BytesIO(base64.b64decode(stills[-1]))).convert("RGB"))
    assert np.array_equal(last, sheet[9:])


def test_the_noise_of_a_colour_picture_has_colours():
    x0, eps = np.zeros((3, 4, 4)), np.zeros((3, 4, 4))
    eps[0], eps[2] = 1, -1
    (sheet,) = sheets(page(Noising(x0, eps, [1.0, 0.5, 0.0])))
    red, green, blue = sheet[4 + 1, 1].tolist()  # x0 above, eps below
    assert red > green > blue


def test_the_figure_is_self_contained():
    frames = RANDOM.uniform(-1, 1, (5, 4, 4))
    text = page(frames, curve=[1, 2, 3, 4, 5])
    assert not re.search(r"<script|\bid=|https?:|url\((?!data:)", text)
    for needed in ("aria-valuetext", 'aria-label="timestep"', 'aria-label="play"', "data-lm-suppress-shortcuts"):
        assert needed in text
    assert text.count("data-lm-suppress-shortcuts") == 2  # on the elements themselves: the button, the slider
    assert text == page(frames, curve=[1, 2, 3, 4, 5])  # nothing changes from run to run


def test_no_sheet_stands_beside_a_variable():
    """A declaration with a variable is read anew at each move: with the sheet in it, 20 times slower."""
    text = page(RANDOM.uniform(-1, 1, (5, 4, 4))) + page(noised(5, 2))
    assert text.count("background-image:url(") == 2
    assert text.count("url(") == 2
    assert not re.search(r"--\w+:url|url\([^)]*\)[^;\"]+var\(", text)


def test_the_filmstrip_names_first_last_and_between():
    text = page(RANDOM.uniform(-1, 1, (11, 4, 4)), alt="Dots & noise")
    alts = [html.unescape(alt) for alt in re.findall(r'<img[^>]* alt="([^"]*)"', text)]
    assert alts == [f"Dots & noise, t = {k}" for k in (0, 2, 4, 6, 8, 10)]
    assert text.count("onload=") == 1
    assert len(re.findall("<img", page(RANDOM.uniform(-1, 1, (3, 4, 4))))) == 3


def test_labels_may_hold_anything():
    labels = ["a|b", 'say "x" & <y>']
    text = page(np.zeros((2, 4, 4)), labels, start=1)
    assert json.loads(html.unescape(re.search('data-labels="([^"]*)"', text)[1])) == labels
    assert "<y>" not in text
    assert "--i:1" in text


def test_several_share_one_slider():
    frames = RANDOM.uniform(-1, 1, (4, 6, 6))
    slider = TimestepSlider({"linear": frames, "cosine": -frames}, range(4), caption="Two schedules")
    text = slider._repr_mimebundle_()["text/html"]
    one, other = sheets(text)
    assert (one.astype(int) + other == 255).all()
    assert text.count('type="range"') == 1
    assert 'aria-label="Two schedules: cosine"' in text
    assert len(re.findall("<img", text)) == 8
    assert "Two schedules" in repr(slider)


def test_a_curve_is_drawn_through_its_numbers():
    text = page(np.zeros((3, 4, 4)), curve={"ᾱ": torch.tensor([1.0, 0.5, 0.0])})
    assert 'points="0.0,2.0 150.0,30.0 300.0,58.0"' in text
    assert "calc(var(--i)*150.0000px)" in text
    assert 'aria-label="ᾱ: from 0 (bottom) to 1 (top)"' in text


def test_noising_is_mixed_to_the_very_frame():
    noising = noised(7, 2)
    text = page(noising)
    (pair,) = sheets(text)
    x0, eps = np.split(pair[..., 0] / 255.0 - 0.5, 2)
    for k, (opacity, contrast) in enumerate(json.loads(re.search('data-mix="([^"]*)"', text)[1])):
        mixed = np.clip(0.5 + contrast * ((1 - opacity) * x0 + opacity * eps), 0, 1)[:, :28]
        exact = np.clip(noising.frame(k)[0, 0] / 2 + 0.5, 0, 1)
        assert np.abs(mixed - exact).max() < 0.02
        signal = noising.alpha_bars[k]
        by_hand = signal**0.5 * noising.x0 + (1 - signal) ** 0.5 * noising.eps
        np.testing.assert_allclose(noising.frame(k), by_hand, atol=1e-12)


@pytest.mark.parametrize(("pictures", "most"), [(8, 160_000), (32, 900_000)])
def test_fifty_frames_fit_their_budget(pictures, most):
    noising = noised(50, pictures)
    frames = np.stack([noising.frame(k) for k in range(50)])
    as_frames = len(json.dumps(page(frames, clip=True, curve=noising.alpha_bars)))
    mixed = len(json.dumps(page(noising, curve=noising.alpha_bars)))
    assert as_frames <= most
    assert mixed <= most / 3


ZEROS = np.zeros((3, 4, 4))
BAD = [
    (np.full((3, 4, 4), np.nan), {}, "frames: got 48 numbers that are NaN"),
    (np.full((3, 4, 4), 1.5), {}, "frames: got numbers from 1.5 to 1.5.*clip=True"),
    (np.zeros((3, 4)), {}, r"frames: got shape \(3, 4\)"),
    (np.zeros((1, 4, 4)), {}, "frames: got 1; expected 2 or more"),
    (ZEROS, {"labels": ["a"]}, "labels: got 1 for 3 frames"),
    (ZEROS, {"start": 3}, "start: got 3; expected a frame from 0 to 2"),
    (ZEROS, {"levels": 1}, "levels: got 1"),
    (ZEROS, {"caption": " "}, "caption: got nothing"),
    (ZEROS, {"alt": ""}, "alt: got"),
    (ZEROS, {"curve": [1, 2]}, r"curve: got shape \(2,\); expected 3"),
    (ZEROS, {"curve": [1, 2, np.inf]}, "expected 3 finite"),
    ({}, {"labels": range(3)}, "frames: got an empty mapping"),
    ({"a": ZEROS, "b": np.zeros((3, 5, 4))}, {"labels": range(3)}, "frames: got sizes"),
    (np.zeros((50, 400, 2)), {}, "got 50 of 400 by 2 pixels.*WebP"),
    (
        Noising(np.zeros((4, 4)), np.ones((4, 4)), [1, 0.5]),
        {"span": (0, 1)},
        r"span: got \(0, 1\); expected \(-a, a\)",
    ),
]


@pytest.mark.parametrize(("frames", "options", "words"), BAD)
def test_bad_input_is_named(frames, options, words):
    options = {"caption": "A caption", "labels": [str(k) for k in range(len(frames))]} | options
    with pytest.raises(ValueError, match=words):
        TimestepSlider(frames, **options)


def test_bad_noising_is_named():
    with pytest.raises(ValueError, match=r"eps: got shape \(3, 3\)"):
        Noising(np.zeros((4, 4)), np.zeros((3, 3)), [1.0, 0.0])
    with pytest.raises(ValueError, match="alpha_bars: expected"):
        Noising(np.zeros((4, 4)), np.zeros((4, 4)), [1.0, 1.2])


def test_where_styles_are_stripped_each_label_stays_in_a_block_with_its_own_picture():
    frames = np.linspace(-1, 1, 12).reshape(12, 1, 1) * np.ones((12, 8, 8))
    page = TimestepSlider(frames, [f"t = {k}" for k in range(12)], caption="Grey")._repr_mimebundle_()["text/html"]
    plain = re.sub(r' (?:style|onload)="[^"]*"', "", page)
    blocks = re.findall(r"<div>(<img [^>]*><br>[^<]*)</div>", plain)
    labels = [block.rpartition("<br>")[2] for block in blocks]
    assert labels == ["t = 0", "t = 2", "t = 4", "t = 7", "t = 9", "t = 11"]
