"""The site from its folder, with the network off: every page and link, its mathematics, sliders and search."""

import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.conftest import ROOT

TYPESET = "MathJax.startup.promise.then(() => true)"
# What is asked of each page at once: [links], [pictures that show nothing], [formulas that are not typeset].
LOOK = """() => ({
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  broken: [...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth && i.checkVisibility())
    .map(i => i.currentSrc.slice(0, 100)),
  raw: [...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container'))
    .map(m => m.textContent.slice(0, 80)),
  wrong: [...document.querySelectorAll('mjx-merror')].map(m => m.textContent),
  wide: document.documentElement.scrollWidth - innerWidth,
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


@pytest.mark.parametrize(
    ("name", "theme"),
    [("index", "dark"), ("exercises", "light"), ("lessons/04_one_jump", "light"), ("lessons/04_one_jump", "dark")],
)
def test_axe_finds_nothing_serious(chromium, site, axe, name, theme):
    context = chromium.new_context(offline=True, color_scheme=theme, viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.evaluate(axe)
    found = page.evaluate("axe.run({exclude: [['mjx-container']]})")["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in serious]
    context.close()


def test_a_lesson_is_ready_in_two_seconds_of_work(walked):
    """From the file to the last formula, in time of the processor: other programs may share the cores."""
    work = {name: page["work"] for name, page in walked[0].items()}
    print("; ".join(f"{name} {seconds:.1f} s" for name, seconds in work.items()))
    assert max(work.values()) <= 2


def test_the_site_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= 60e6
