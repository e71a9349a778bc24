"""The site and a notebook's page in Firefox: every page, sliders, the network that draws, a finger's stroke."""

import numpy as np
import pytest
import torch

from bench.page import shipped
from tests.browser import firefox as driver
from tests.browser.test_sampler import FORWARD
from tests.browser.test_site import LOOK, TYPESET

END, PAGE = "\ue010", "figure[data-network][data-kind={}]"
STATUS = "css => document.querySelector(css + ' output').textContent"
DRAWN = "css => document.querySelector(css + ' output').textContent.startsWith('Drawn')"
PIXELS = """(css, role) => {
  const c = document.querySelector(css + ` canvas[data-role=${role}]`);
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 == 0);
}"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    """A window of Firefox, where there is one: a browser of 80 MB is no condition for the tests."""
    path = driver.find()
    if path is None:
        pytest.skip(driver.ABSENT)
    with driver.Firefox(path, tmp_path_factory.mktemp("firefox") / "profile", 1366, 900) as window:
        yield window


def pixels(firefox, css, role):
    return np.array(firefox.evaluate(PIXELS, css, role)).reshape(28, 28)


def draws(firefox, css):
    """The button for a 1 draws a digit that was not there before."""
    firefox.evaluate("css => document.querySelector(css).scrollIntoView({block: 'center'})", css)
    firefox.wait(DRAWN, css)
    before = pixels(firefox, css, "x")
    firefox.evaluate("css => document.querySelector(css + ' button[data-label=\"1\"]').click()", css)
    firefox.wait(f"css => ({STATUS})(css).startsWith('Drawn: a 1')", css)
    after = pixels(firefox, css, "x")
    assert np.median(after) < 30
    assert 0.02 < (after > 200).mean() < 0.4
    assert np.abs(after - before).max() > 100


def slides(firefox):
    """The first slider goes to its end by the key, and says so."""
    css = "figure:not([data-network]) input[type=range]"
    at = f"() => document.querySelector('{css}').closest('figure').querySelector('output').textContent"
    before = firefox.evaluate(at)
    firefox.press(css, END)
    assert firefox.evaluate(at) != before
    last = f"() => {{ const s = document.querySelector('{css}'); return s.value == s.max }}"
    assert firefox.evaluate(last)


def test_every_page_of_the_site_is_whole_and_silent(firefox, site):
    firefox.complaints()
    pages = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    assert len(pages) > 20
    for path in pages:
        firefox.open(path.as_uri())
        if firefox.evaluate("() => Boolean(document.querySelector('.math'))"):
            firefox.evaluate(f"() => {TYPESET}")
        seen = firefox.evaluate(LOOK)
        assert seen["raw"] == seen["wrong"] == seen["broken"] == [], path.name
        assert seen["wide"] <= 0, path.name
        asked = "() => performance.getEntriesByType('resource').map(e => e.name).filter(n => /^http/.test(n))"
        assert firefox.evaluate(asked) == [], path.name
        assert firefox.complaints() == [], path.name


def test_what_is_wrong_with_a_page_is_heard(firefox, tmp_path):
    (tmp_path / "x.html").write_text("<script>console.error('one'); undefined.two</script>", "utf-8")
    firefox.complaints()
    firefox.open((tmp_path / "x.html").as_uri())
    told = " ".join(firefox.complaints())
    assert "one" in told
    assert "undefined" in told


@pytest.mark.parametrize("name", ["index", "lessons/00_start_here"])
def test_the_site_slides_and_draws(firefox, site, name):
    firefox.complaints()
    firefox.open((site / f"{name}.html").as_uri())
    draws(firefox, PAGE.format("digit"))
    if name != "index":
        slides(firefox)
    assert firefox.complaints() == []


def test_a_notebooks_page_slides_and_draws(firefox, static_file):
    firefox.open(static_file.as_uri())
    firefox.complaints()  # nbconvert's own page asks for MathJax
    slides(firefox)
    draws(firefox, PAGE.format("digit"))
    assert firefox.complaints() == []


def test_a_finger_draws(firefox, static_file):
    firefox.open(static_file.as_uri())
    css = PAGE.format("redraw")
    pad = f"{css} canvas[data-role=pad]"
    firefox.wait("css => document.querySelector(css) && !document.querySelector(css).closest('[hidden]')", pad)
    firefox.evaluate("css => document.querySelector(css + ' button[name=clear]').click()", css)
    corner = """css => { const c = document.querySelector(css); c.scrollIntoView({block: 'center'});
      const b = c.getBoundingClientRect(); return [b.x, b.y, b.width, b.height, scrollY] }"""
    x, y, width, height, scrolled = firefox.evaluate(corner, pad)
    down = np.linspace(0.2, 0.8, 9)
    firefox.stroke([(x + width / 2, y + height * part) for part in down])
    drawn = pixels(firefox, css, "pad")
    assert drawn[10:20, 13:15].min() > 200
    assert drawn[:, :10].max() == 0
    assert firefox.evaluate("() => scrollY") == scrolled  # the page stands still under the finger
    firefox.evaluate("css => document.querySelector(css + ' button[name=go]').click()", css)
    firefox.wait(f"css => ({STATUS})(css).includes('taken out')", css)
    result = pixels(firefox, css, "result")
    assert np.corrcoef(result.flatten(), drawn.flatten())[0, 1] > 0.5


def test_the_shipped_network_gives_pytorchs_numbers(firefox, static_file):
    denoiser, network = shipped("mnist")
    firefox.open(static_file.as_uri())
    firefox.evaluate(f"() => {{ {network.program} }}")
    g = torch.Generator().manual_seed(0)
    x, t = torch.randn(20, 1, 28, 28, generator=g), torch.randint(1, 1001, (20,), generator=g)
    labels = torch.randint(0, 11, (20,), generator=g)
    given = [network.key, False, x.flatten(1).tolist(), t.tolist(), labels.tolist()]
    with torch.no_grad():
        wanted = denoiser.network(x, t, labels)
    name, got = firefox.evaluate(FORWARD, given)
    assert name == "WasmOperations"
    assert (torch.tensor(got).reshape(wanted.shape) - wanted).abs().max() <= 1e-4
