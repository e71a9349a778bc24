"""The site from its folder, with the network off: every page and link, its mathematics, sliders and search."""

import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.conftest import ROOT

TYPESET = "MathJax.startup.promise.then(() => true)"
# What is asked of each page at once: [links], [pictures that show nothing], [formulas that are not typeset], what
# reaches beyond the screen in no box that scrolls, and how large what a finger shall meet is.
LOOK = """() => ({
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  broken: [...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth && i.checkVisibility())
    .map(i => i.currentSrc.slice(0, 100)),
  raw: [...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container'))
    .map(m => m.textContent.slice(0, 80)),
  wrong: [...document.querySelectorAll('mjx-merror')].map(m => m.textContent),
  wide: document.documentElement.scrollWidth - innerWidth,
  cut: [...document.querySelectorAll('.bd-article *')].filter(e => !e.closest('mjx-container'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility()).filter(e => {
      for (let b = e.parentElement; !b.matches('.bd-article'); b = b.parentElement)
        if (/auto|scroll|hidden/.test(getComputedStyle(b).overflowX)) return false;
      return true;
    }).map(e => e.outerHTML.slice(0, 100)),
  targets: [...document.querySelectorAll(`.bd-article :is(figure :is(button, input, select), summary,
    label:has(> [data-solved]), [data-solved-reset])`)].filter(e => e.checkVisibility()).map(e => {
      const box = e.getBoundingClientRect();
      return [Math.min(box.width, box.height), e.outerHTML.slice(0, 100)];
    }),
})"""


@pytest.fixture(scope="session")
def walked(chromium, site):
    """Each page by its path, as the browser shows it at a phone's width; and what it complained of."""
    context = chromium.new_context(offline=True, viewport={"width": 390, "height": 844})
    page, seen, said = context.new_page(), {}, defaultdict(list)
    page.set_default_timeout(60_000)
    here, tools = [""], context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        return {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}["TaskDuration"]

    page.on("console", lambda m: said[here[0]].append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: said[here[0]].append(str(e)))
    page.on("requestfailed", lambda r: said[here[0]].append(f"not loaded: {r.url[:200]}"))
    page.on("request", lambda r: said[here[0]].append(f"asked for {r.url}") if r.url.startswith("http") else None)
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        here[0] = str(path.relative_to(site))
        page.goto("about:blank")
        before = spent()
        page.goto(path.as_uri())
        if page.evaluate("Boolean(document.querySelector('.math'))"):
            page.evaluate(TYPESET)
        work = spent() - before
        seen[here[0]] = page.evaluate(LOOK) | {"work": work}
    context.close()
    return seen, said


def test_every_lesson_and_the_pages_around_them_are_there(walked):
    lessons = {f"lessons/{path.stem}.html" for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    around = {
        f"{n}.html" for n in ("index", "exercises", "equations", "code", "glossary", "references", "run", "search")
    }
    assert walked[0].keys() >= lessons | around


def test_no_page_complains_or_asks_for_anything_elsewhere(walked):
    assert dict(walked[1]) == {}


def test_all_mathematics_is_typeset_and_every_picture_seen(walked):
    for name, page in walked[0].items():
        assert page["raw"] == page["wrong"] == page["broken"] == [], name
    assert sum(page["links"] != [] for page in walked[0].values()) == len(walked[0])


def test_no_page_is_wider_than_a_phone(walked):
    assert {name: page["wide"] for name, page in walked[0].items() if page["wide"] > 0} == {}
    assert {name: page["cut"] for name, page in walked[0].items() if page["cut"]} == {}


def test_what_a_finger_shall_meet_is_large_enough(walked):
    """24 pixels at least, as WCAG 2.2 asks (success criterion 2.5.8)."""
    targets = [(name, *target) for name, page in walked[0].items() for target in page["targets"]]
    assert len(targets) > 200
    assert [target for target in targets if target[1] < 24] == []


def test_every_link_within_the_site_leads_somewhere(walked, site):
    texts, dead = {}, set()
    for name, page in walked[0].items():
        for link in page["links"]:
            parts = urlsplit(link)
            if parts.scheme != "file":
                assert parts.scheme == "https", (name, link)
                continue
            target = Path(unquote(parts.path))
            if target not in texts:
                texts[target] = target.read_text("utf-8") if target.is_file() else None
            text = texts[target]
            if text is None or (parts.fragment and f'id="{unquote(parts.fragment)}"' not in text):
                dead.add((name, link))
    assert dead == set()


@pytest.fixture
def lesson(chromium, site):
    """Lesson 03, opened from its file without network."""
    context = chromium.new_context(offline=True, viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto((site / "lessons" / "03_forward_process.html").as_uri())
    yield page
    context.close()


def test_a_slider_moves(lesson):
    slider = lesson.locator("figure input[type=range]").first
    slider.scroll_into_view_if_needed()
    before = lesson.locator("figure output").first.inner_text()
    slider.focus()
    lesson.keyboard.press("End")
    assert lesson.locator("figure output").first.inner_text() != before


def test_a_wide_equation_is_set_smaller_until_its_number_is_seen(lesson, site):
    wide = "() => [...document.querySelectorAll('div.math')].filter(e => e.scrollWidth > e.clientWidth)"
    for name in ("02_gans", "08_three_terms", "11_sampling"):
        lesson.goto((site / "lessons" / f"{name}.html").as_uri())
        lesson.evaluate(TYPESET)
        lesson.wait_for_function(f"() => ({wide})().length == 0")
    smaller = "() => document.querySelectorAll('mjx-container[style*=important]').length"
    assert lesson.evaluate(smaller) > 0


BRIGHTEST = """c => {
  const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  return Math.max(...pixels.filter((_, k) => k % 4 == 0));
}"""


def test_the_network_draws_and_is_stored_once_for_all_pages(lesson, site):
    lesson.goto((site / "lessons" / "00_start_here.html").as_uri())
    figure = lesson.locator("figure[data-network][data-kind=digit]").first
    figure.scroll_into_view_if_needed()
    figure.locator("button[name=draw]").nth(3).click()
    figure.locator("[data-role=shelf] > *").first.wait_for(timeout=60_000)
    assert figure.locator("canvas[data-role=x]").evaluate(BRIGHTEST) > 200
    programs = {
        program.stem.removeprefix("network-"): program for program in (site / "_static").glob("network-*.js")
    }
    assert all(program.stat().st_size <= 1.4e6 for program in programs.values())
    for page in (site / "lessons").glob("*.html"):
        text = page.read_text("utf-8")
        assert ' data-program="' not in text
        assert set(re.findall(r'data-network="(\w+)"', text)) <= programs.keys()


def test_checks_and_the_solution_are_folded_and_unfold(lesson):
    for words in ("(3.3) checked", "A solution"):
        line = lesson.locator("summary", has_text=words).first
        code = line.locator("xpath=..").locator("pre").first
        assert not code.is_visible()
        line.click()
        assert code.is_visible()


def test_a_solved_exercise_is_remembered_and_forgotten(lesson, site):
    lesson.get_by_label("I have solved it").check()
    lesson.goto((site / "exercises.html").as_uri())
    assert lesson.locator("[data-solved-count]").inner_text().startswith("1 of ")
    assert lesson.locator("[data-solved='03_forward_process']").is_checked()
    lesson.locator("[data-solved-reset]").click()
    lesson.reload()
    assert lesson.locator("[data-solved-count]").inner_text().startswith("0 of ")


def test_the_search_finds_a_lesson_without_a_server(lesson, site):
    lesson.goto((site / "search.html").as_uri() + "?q=posterior")
    found = lesson.locator("#search-results a", has_text="The Bayes posterior").first
    found.wait_for()
    found.click()
    lesson.wait_for_url("**/05_bayes_posterior.html*")


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1366)])
def test_axe_finds_nothing_serious_on_any_page(chromium, site, axe, theme, width):
    """By all its rules in the light, and in the dark by those that look at colours."""
    context = chromium.new_context(offline=True, color_scheme=theme, viewport={"width": width, "height": 900})
    page, serious = context.new_page(), {}
    page.set_default_timeout(60_000)
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.evaluate(axe)
        # Each of a thousand coloured words costs a millisecond: two pages of code stand for all.
        code = [] if path.stem in ("code", "04_one_jump") else [[".highlight"]]
        rules = {"runOnly": ["color-contrast", "link-in-text-block"]} if theme == "dark" else {}
        told = [["mjx-container"], *code], rules | {"resultTypes": ["violations"]}
        found = page.evaluate("([exclude, options]) => axe.run({exclude}, options)", told)
        bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        if bad:
            serious[path.name] = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in bad]
    assert serious == {}
    context.close()


@pytest.fixture
def phone(chromium):
    """A page on a small screen, and a finger: finger([(x, y), …]) goes down, over these places, and up."""
    context = chromium.new_context(
        offline=True, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    tools = context.new_cdp_session(page)

    def finger(places):
        for k, (x, y) in enumerate(places):
            point = {"type": "touchMove" if k else "touchStart", "touchPoints": [{"x": x, "y": y}]}
            tools.send("Input.dispatchTouchEvent", point)
        tools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(500)  # sooner the browser may take the next tap for the second of two

    yield page, finger
    context.close()


def test_a_finger_draws_a_digit_and_the_page_stands_still(phone, site):
    page, finger = phone
    page.goto((site / "lessons" / "13_make_it_yours.html").as_uri())
    page.evaluate(TYPESET)
    page.wait_for_timeout(200)  # what is above takes its place
    figure = page.locator("figure[data-kind=redraw]")
    figure.scroll_into_view_if_needed()
    pad = figure.locator("canvas[data-role=pad]")
    pad.wait_for()
    figure.get_by_role("button", name="Clear").tap()
    pad.evaluate("c => c.scrollIntoView({block: 'center'})")
    box, before = pad.bounding_box(), page.evaluate("scrollY")
    assert min(box["width"], box["height"]) >= 200
    x = box["x"] + box["width"] / 2
    finger([(x, box["y"] + box["height"] * part / 20) for part in range(4, 17)])
    assert pad.evaluate(BRIGHTEST) > 200
    assert page.evaluate("scrollY") == before
    figure.get_by_role("button", name="Take the noise out").tap()
    page.wait_for_function(
        "f => f.querySelector('output').textContent.includes('taken out')", arg=figure.element_handle()
    )
    assert figure.locator("canvas[data-role=result]").evaluate(BRIGHTEST) > 200


def test_a_finger_moves_a_slider(phone, site):
    page, finger = phone
    page.goto((site / "lessons" / "03_forward_process.html").as_uri())
    page.evaluate(TYPESET)
    page.wait_for_timeout(200)
    slider = page.locator("figure input[type=range]").first
    slider.scroll_into_view_if_needed()
    slider.evaluate("s => s.scrollIntoView({block: 'center'})")
    box, words = slider.bounding_box(), page.locator("figure output").first
    before, y = words.inner_text(), box["y"] + box["height"] / 2
    finger([(box["x"] + 8 + (box["width"] - 16) * part / 10, y) for part in range(8)])
    assert words.inner_text() != before
    share = slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")
    assert 0.5 < share < 0.9


def test_a_lesson_is_ready_in_two_seconds_of_work(walked):
    """From the file to the last formula, in time of the processor: other programs may share the cores."""
    work = {name: page["work"] for name, page in walked[0].items()}
    print("; ".join(f"{name} {seconds:.1f} s" for name, seconds in work.items()))
    assert max(work.values()) <= 2


def test_the_site_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= 60e6
