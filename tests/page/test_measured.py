import numpy as np
import pytest
import torch

from diffusion_lesson.page.measured import about
from diffusion_lesson.page.scrubber import TimestepSlider


@pytest.mark.parametrize(
    ("value", "spec", "words"),
    [
        (0.1234, ".2f", "≈0.12"),
        (43.21, ".3g", "≈43.2"),
        (-0.5, "+.1f", "≈-0.5"),
        (0.98, ".0%", "≈98%"),
        (7, "d", "≈7"),
        (3.14159, "8.2f", "    ≈3.14"),
        (float("nan"), ".1f", "≈nan"),
        (np.float32(2.5), ".1f", "≈2.5"),
        (torch.tensor(2.5), ".1f", "≈2.5"),
    ],
)
def test_a_measured_number_has_its_mark_before_the_first_digit(value, spec, words):
    assert about(value, spec) == words


def page(**options):
    slider = TimestepSlider(np.zeros((3, 2, 2)), "abc", caption="It learns", curve=[0.25, 0.5, 1.0], **options)
    return slider._repr_mimebundle_()["text/html"]


def test_a_slider_marks_its_curve_where_it_is_measured():
    text = page(measured=True)
    assert '<polyline data-measured points="0.0,58.0 150.0,39.3 300.0,2.0"' in text
    assert 'aria-label="curve: from ≈0.25 (bottom) to ≈1 (top)"' in text
    assert "<span>from ≈0.25 (bottom) to ≈1 (top)</span>" in text


def test_a_slider_marks_nothing_else():
    assert "≈" not in page()
    assert "measured" not in page()
    marked = page(measured=True)
    assert marked.replace("data-measured ", "").replace("≈", "") == page()
