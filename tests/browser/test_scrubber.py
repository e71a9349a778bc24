"""The timestep slider in JupyterLab, in the classic notebook and on a page without kernel or network."""

import statistics

import pytest

KEPT = [round(round(k / 99 * 15) * 17) for k in range(100)]  # the grey levels of the first tile, 16 kept


@pytest.fixture
def static_page(chromium, static_file):
    context = chromium.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(static_file.as_uri(), wait_until="load")
    yield page
    context.close()


@pytest.fixture(params=["lab_page", "notebook_page", "classic_page", "static_page"])
def page(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def figure(page):
    found = page.locator("figure").first
    found.scroll_into_view_if_needed()
    found.locator("input").wait_for()  # the live part is seen
    yield found
    found.locator("input").evaluate("s => { s.value = 0; s.oninput() }")


def says(figure, k):
    """All that tells the reader which frame it is, agrees: label, voice, slider and variable."""
    slider = figure.locator("input")
    assert figure.locator("output").inner_text() == f"t = {10 * k}"
    assert slider.get_attribute("aria-valuetext") == f"t = {10 * k}"
    assert slider.input_value() == str(k)
    assert figure.evaluate("f => f.style.getPropertyValue('--i')") == str(k)


def test_dragging_changes_the_picture_the_label_and_the_voice(page, figure, look):
    picture = figure.locator("[role=img]").first
    says(figure, 0)
    assert abs(look(picture, 0.06, 0.12) - KEPT[0]) <= 1
    box = figure.locator("input").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 9, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, y, steps=5)
    page.mouse.up()
    k = int(figure.locator("input").input_value())
    assert 40 <= k <= 60
    says(figure, k)
    assert abs(look(picture, 0.06, 0.12) - KEPT[k]) <= 1
    before = figure.locator("svg line").first.bounding_box()["x"]
    page.keyboard.press("End")
    says(figure, 99)
    assert abs(look(picture, 0.06, 0.12) - 255) <= 1
    playhead = figure.locator("svg line").first.bounding_box()["x"]
    assert playhead > before + 0.3 * box["width"]


def test_the_keyboard_alone_operates_it(page, figure):
    figure.locator("button").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    for key, k in (("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 99), ("Home", 0)):
        page.keyboard.press(key)
        says(figure, k)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert figure.locator("button").get_attribute("aria-label") == "pause"
    page.wait_for_function("f => +f.querySelector('input').value > 3", arg=figure.element_handle())
    page.keyboard.press("Space")
    assert figure.locator("button").get_attribute("aria-label") == "play"
    k = int(figure.locator("input").input_value())
    page.wait_for_timeout(250)
    says(figure, k)


def test_play_stops_at_the_last_frame(page, figure):
    figure.locator("input").evaluate("s => { s.value = 96; s.oninput() }")
    figure.locator("button").click()
    figure.locator("button[aria-label=play]").wait_for(timeout=3000)
    says(figure, 99)


# From the key's own time stamp to the second animation frame after it: by then the change is painted.
TIMED = """s => {
  window.times = [];
  let pressed = 0;
  s.addEventListener('keydown', e => pressed = e.timeStamp, {capture: true});
  s.addEventListener('input', () => requestAnimationFrame(() => requestAnimationFrame(
    () => window.times.push(performance.now() - pressed))));
}"""
# Frames a second in which the slider has moved on, under a hand that is faster than the screen: to and fro by
# one frame each 8 ms, as fast as a mouse reports. The mouse of the tests waits for the page's answer to each
# move, and reaches 38 frames a second where there is no picture at all: it measures itself.
DRAGGED = """s => new Promise(done => {
  const begun = performance.now();
  let k = 0, moved = 0, last = -1;
  const hand = setInterval(() => {
    k = (k + 1) % 198;
    s.value = k < 99 ? k : 198 - k;
    s.dispatchEvent(new Event('input', {bubbles: true}));
  }, 8);
  const tick = now => {
    if (s.value != last) { moved += 1; last = s.value; }
    if (now - begun < 2500) requestAnimationFrame(tick);
    else { clearInterval(hand); done([1000 * moved / (now - begun), moved]); }
  };
  requestAnimationFrame(tick);
})"""


def test_it_follows_the_hand(page, figure, slack, record_property):
    """32 ms a move, where two frames of the screen are the floor, and 45 frames a second."""
    slider, rounds = figure.locator("input"), []
    for _ in range(3):
        rounds.append((median_of_keys(page, slider), slider.evaluate(DRAGGED)[0]))
        if rounds[-1][0] <= 32 * slack and rounds[-1][1] >= 45 / slack:
            break
    print("; ".join(f"{milliseconds:.1f} ms, {frames:.0f} frames/s" for milliseconds, frames in rounds))
    record_property("rounds", rounds)
    assert min(milliseconds for milliseconds, _ in rounds) <= 32 * slack
    assert max(frames for _, frames in rounds) >= 45 / slack


def median_of_keys(page, slider):
    slider.focus()
    page.keyboard.press("Home")
    slider.evaluate(TIMED)
    for _ in range(25):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(20)
    page.wait_for_timeout(100)
    return statistics.median(page.evaluate("window.times"))


def test_a_move_costs_little_work(page, figure):
    """Time of the processor, not of the clock: it can be judged where other programs share the cores.

    2 to 3 ms on a page; it was 30 when each move read the sheet anew.
    """
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        metrics = tools.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}["TaskDuration"]

    before = spent()
    _, moved = figure.locator("input").evaluate(DRAGGED)
    each = 1000 * (spent() - before) / moved
    tools.detach()
    print(f"{each:.1f} ms of the page's thread for a frame")
    assert each <= 10


def test_a_hundred_events_leave_no_queue(page, figure, look, slack):
    slider = figure.locator("input")
    took = slider.evaluate("""s => new Promise(done => {
      const begun = performance.now();
      for (let k = 1; k <= 100; k++) { s.value = (37 * k) % 100; s.dispatchEvent(new Event('input')); }
      s.value = 70; s.dispatchEvent(new Event('input'));
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
    })""")
    assert took <= 300 * slack
    says(figure, 70)
    assert abs(look(figure.locator("[role=img]").first, 0.06, 0.12) - KEPT[70]) <= 1


def test_pictures_mixed_by_the_page_are_right_to_the_number(page, look):
    figure = page.locator("figure").nth(1)
    figure.scroll_into_view_if_needed()
    figure.locator("input").wait_for()
    picture = figure.locator("[data-mix]")
    for k in (0, 10, 50, 90, 100):
        figure.locator("input").evaluate(f"s => {{ s.value = {k}; s.oninput() }}")
        alpha_bar = 1 - k / 100
        xt = alpha_bar**0.5 * -0.5 + (1 - alpha_bar) ** 0.5 * 0.8
        assert abs(look(picture, 0.25, 0.5) - 127.5 * (xt + 1)) <= 10  # of 255; 16 kept levels are 8.5 off
        assert figure.locator("output").inner_text() == f"ᾱ = {alpha_bar:.2f}"


def test_without_handlers_a_labelled_filmstrip_is_seen(chromium, static_file):
    context = chromium.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(static_file.as_uri())
    filmstrip_is_seen(page.locator("figure").first)
    context.close()


def test_in_a_notebook_that_is_not_trusted_a_labelled_filmstrip_is_seen(chromium, lab):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/other/tree/executed.ipynb")  # its own, where no other notebook is open
    page.locator("figure img").first.wait_for(timeout=60_000)
    filmstrip_is_seen(page.locator("figure").first)
    live = page.locator("img[alt='A curve on grey 50']")  # the stored picture of the live figure
    live.scroll_into_view_if_needed()
    assert live.is_visible()
    page.close()


def test_in_a_notebook_that_make_lab_trusted_the_slider_is_alive_before_anything_runs(chromium, lab):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/trusted/tree/trusted.ipynb")
    slider = page.locator("figure input[type=range]").first
    slider.wait_for(timeout=60_000)
    slider.evaluate("s => { s.value = 7; s.oninput() }")
    assert page.locator("figure output").first.inner_text() == "t = 70"
    live = page.locator("img[alt='A curve on grey 50']")  # no kernel knows the control; its picture is stored
    live.scroll_into_view_if_needed(timeout=20_000)
    assert live.is_visible()
    assert page.get_by_text("Error displaying widget").count() == 0
    page.close()


def filmstrip_is_seen(figure):
    images = figure.locator("img")
    assert images.count() == 6
    for k, image in zip((0, 20, 40, 59, 79, 99), images.all(), strict=True):
        image.scroll_into_view_if_needed()
        image.wait_for(state="visible")
        assert image.evaluate("i => i.naturalWidth") > 100
        assert image.get_attribute("alt").endswith(f"t = {10 * k}")
    assert figure.get_by_text("t = 790").is_visible()
    assert not figure.locator("input").is_visible()


def test_alt_text_reaches_every_place(page):
    image = page.locator("img[alt='A black line rises from 0 to 1']")
    image.scroll_into_view_if_needed()
    assert image.is_visible()


def test_axe_finds_nothing_serious(static_page, axe):
    static_page.evaluate(axe)
    # nbconvert's own prompts and code colours are pale; all else is ours.
    page = "{exclude: [['.jp-InputPrompt'], ['.jp-OutputPrompt'], ['.highlight']]}"
    found = static_page.evaluate(f"axe.run({page})")["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], v["nodes"][0]["html"][:200]) for v in serious]


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_words_are_legible_in_light_and_dark(lab_page, theme):
    lab_page.evaluate(f"void jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
    lab_page.wait_for_function(f"document.body.dataset.jpThemeName == '{theme}'")
    lab_page.wait_for_timeout(300)
    figure = lab_page.locator("figure").first
    figure.scroll_into_view_if_needed()
    paper = figure.evaluate("""f => {
      let e = f, c;
      do { c = getComputedStyle(e).backgroundColor; e = e.parentElement } while (c == 'rgba(0, 0, 0, 0)');
      return c }""")
    for what in ("figcaption", "output", "svg + div span", "polyline"):
        style = "stroke" if what == "polyline" else "color"
        ink = figure.locator(what).first.evaluate(f"e => getComputedStyle(e).{style}")
        assert contrast(ink, paper) >= 4.5, (what, ink, paper)


def contrast(one, two):
    def luminance(colour):
        parts = [float(p) / 255 for p in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((luminance(one), luminance(two)))
    return (bright + 0.05) / (dark + 0.05)
