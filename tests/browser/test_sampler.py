"""The network in the page: its numbers are PyTorch's, it is fast, and its figures draw wherever handlers run."""

import json

import numpy as np
import pytest
import torch

from bench.page import normals, shipped
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.network import PageNetwork
from diffusion_lesson.process import samplers, schedule

REDRAW, DIGIT, DENOISE, WALK = 2, 3, 4, 5  # which figure of the lesson under test


@pytest.fixture(scope="module")
def mnist():
    return shipped("mnist")


@pytest.fixture
def blank(chromium):
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


FORWARD = """([key, plain, x, t, labels]) => {
  const {unet} = globalThis.diffusionLesson[key].network(plain);
  return [unet.ops.constructor.name, x.map((x, k) => [...unet.forward(Float32Array.from(x), t[k], labels[k])])];
}"""


def compared(page, model, network, *, plain, count):
    """The largest difference from PyTorch over random (x, t, label), and what did the work."""
    page.add_script_tag(content=network.program)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, 1, network.size, network.size, generator=g)
    t = torch.randint(1, network.T + 1, (count,), generator=g)
    classes = network.config["classes"]
    labels = torch.randint(0, classes + 1, (count,), generator=g)
    given = [network.key, plain, x.flatten(1).tolist(), t.tolist(), labels.tolist()]
    with torch.no_grad():
        wanted = model(x, t, labels if classes else None)
    name, got = page.evaluate(FORWARD, given)
    assert wanted.abs().max() > 0.5
    return (torch.tensor(got).reshape(wanted.shape) - wanted).abs().max().item(), name


def test_the_shipped_network_gives_pytorchs_numbers(blank, mnist):
    worst, name = compared(blank, mnist[0].network, mnist[1], plain=False, count=200)
    assert name == "WasmOperations"
    assert worst <= 1e-4


def test_so_does_plain_javascript(blank, mnist):
    worst, name = compared(blank, mnist[0].network, mnist[1], plain=True, count=20)
    assert name == "PlainOperations"
    assert worst <= 1e-4


def test_without_webassembly_the_page_falls_back_to_plain_javascript(blank, mnist):
    blank.add_init_script("delete globalThis.WebAssembly")
    blank.goto("about:blank")
    worst, name = compared(blank, mnist[0].network, mnist[1], plain=False, count=2)
    assert name == "PlainOperations"
    assert worst <= 1e-4


@pytest.mark.parametrize(
    ("config", "size", "predicts"),
    [
        ({"width": 8, "mults": [1, 1, 3], "patch": 1, "classes": 0}, 12, "eps"),
        ({"width": 4, "mults": [1], "patch": 1, "classes": 2}, 5, "v"),
        ({"width": 16, "mults": [2, 1], "patch": 3, "classes": 3}, 6, "v"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_any_u_net_gives_pytorchs_numbers(blank, config, size, predicts, plain):
    torch.manual_seed(0)
    model = UNet(1, config["width"], **{key: value for key, value in config.items() if key != "width"})
    for parameter in model.parameters():
        parameter.data = (parameter.data + 0.2 * torch.randn_like(parameter)).half().float()
    cosine = {"kind": "cosine", "T": 100}
    network = PageNetwork(model.state_dict(), model.config, schedule=cosine, predicts=predicts, size=size)
    assert compared(blank, model, network, plain=plain, count=20)[0] <= 1e-4


def test_the_pages_noise_is_the_documented_generator_and_normal(blank, mnist):
    blank.add_script_tag(content=mnist[1].program)
    draws = """([key, count]) => [[0, 0], [1, 0], [123456, 1]].map(
      ([seed, stream]) => [...globalThis.diffusionLesson[key].normals(seed, stream)(count)])"""
    got = np.array(blank.evaluate(draws, [mnist[1].key, 20_000]))
    for row, (seed, stream) in zip(got, [(0, 0), (1, 0), (123456, 1)], strict=True):
        np.testing.assert_allclose(row, normals(np.array([seed]), stream)(20_000)[0], rtol=1e-5, atol=1e-6)
        assert abs(row.mean()) < 4 / 20_000**0.5
        assert abs(row.var() - 1) < 4 * (2 / 20_000) ** 0.5
        assert abs((row**4).mean() - 3) < 4 * (96 / 20_000) ** 0.5
    assert abs(np.corrcoef(got) - np.eye(3)).max() < 4 / 20_000**0.5


@pytest.mark.parametrize(
    ("steps", "eta", "label", "guidance"),
    [(10, 0.0, -1, 1.0), (16, 0.0, 3, 1.0), (16, 1.0, 7, 2.0), (7, 0.5, 2, 0.0)],
)
def test_a_walk_is_process_samplers_ddim(blank, mnist, monkeypatch, steps, eta, label, guidance):
    """Step by step, with the same noise. Differences grow on the way, as those of two runs of PyTorch do."""
    denoiser, network = mnist
    blank.add_script_tag(content=network.program)
    walk = """([key, told]) => {
      const {network, ddim, normals} = globalThis.diffusionLesson[key];
      return [...ddim(network(), normals(5)(784), {...told, z: normals(5, 1)})].map(({x, t}) => [t, [...x]]);
    }"""
    told = {"steps": steps, "eta": eta, "label": label, "guidance": guidance}
    got = blank.evaluate(walk, [network.key, told])
    labels = torch.tensor([label]) if label >= 0 else None
    eps_model = denoiser.eps_model(labels, guidance_scale=guidance)
    z = normals(np.array([5]), 1)
    monkeypatch.setattr(samplers, "noise", lambda x, _: torch.from_numpy(z(784)).reshape(x.shape))
    xT = torch.from_numpy(normals(np.array([5]))(784)).reshape(1, 1, 28, 28)
    wanted = list(samplers.ddim(denoiser.schedule, xT, eps_model, steps=steps, eta=eta))
    assert [t for t, _ in got] == [round(1000 * k / steps) for k in range(steps - 1, -1, -1)]
    for (_, x), other in zip(got, wanted, strict=True):
        torch.testing.assert_close(torch.tensor(x), other.flatten(), atol=2e-3, rtol=0)


def test_the_schedule_is_pythons(blank, mnist):
    blank.add_script_tag(content=mnist[1].program)
    got = blank.evaluate("key => globalThis.diffusionLesson[key].network().schedule", mnist[1].key)
    ours = schedule.cosine(1000)
    np.testing.assert_allclose(got["signal"], ours.alpha_bars, rtol=1e-10)
    np.testing.assert_allclose(got["noise"], ours.one_minus_alpha_bars, rtol=1e-10)


TIMES = """key => {
  const {network, ddim, normals} = globalThis.diffusionLesson[key], net = network(), x = normals(0)(784);
  const p95 = (count, work) => {
    const times = Array.from({length: count}, (_, k) => {
      const begun = performance.now();
      work(k);
      return performance.now() - begun;
    }).sort((a, b) => a - b);
    return times[Math.floor(0.95 * count)];
  };
  const call = () => net.unet.forward(x, 500, 3);
  p95(20, call);
  const told = seed => ({steps: 25, eta: 1, label: seed % 10, z: normals(seed, 1)});
  const digit = seed => [...ddim(net, normals(seed)(784), told(seed))];
  return {call: p95(200, call), digit: p95(40, digit)};
}"""


def test_time_of_a_call_and_of_a_digit(blank, mnist, slack, record_property):
    """6 ms a call and 150 ms a labelled digit of 25 steps, 95 of 100; the best of three tries."""
    blank.add_script_tag(content=mnist[1].program)
    rounds = []
    for _ in range(3):
        rounds.append(blank.evaluate(TIMES, mnist[1].key))
        if rounds[-1]["call"] <= 6 and rounds[-1]["digit"] <= 150:
            break
    print("; ".join(f"a call {r['call']:.1f} ms, a digit {r['digit']:.0f} ms" for r in rounds))
    record_property("rounds", rounds)
    assert min(r["call"] for r in rounds) <= 6 * slack
    assert min(r["digit"] for r in rounds) <= 150 * slack


@pytest.fixture
def static_page(chromium, static_file):
    context = chromium.new_context(viewport={"width": 390, "height": 800}, offline=True, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: page.wrong.append(request.url) if "http" in request.url[:4] else None)
    page.goto(static_file.as_uri(), wait_until="load")
    page.wrong.clear()  # nbconvert's own page asks for MathJax
    yield page
    context.close()


@pytest.fixture(params=["lab_page", "notebook_page", "classic_page", "static_page"])
def page(request):
    return request.getfixturevalue(request.param)


def figure_of(page, which):
    figure = page.locator("figure").nth(which)
    figure.scroll_into_view_if_needed()
    figure.locator("canvas").first.wait_for()
    return figure


def pixels(figure, role):
    canvas = figure.locator(f"[data-role={role}]")
    data = canvas.evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    return np.array(data).reshape(28, 28, 4)[..., 0].astype(float)


def says(figure, words):
    figure.page.wait_for_function(
        "([f, words]) => f.querySelector('output').textContent.includes(words)",
        arg=[figure.element_handle(), words],
    )


def is_a_digit(picture):
    """White strokes in the middle of black paper."""
    assert np.median(picture) < 30
    assert picture[:2].max() < 100
    assert 0.04 < (picture > 200).mean() < 0.4


def test_a_digit_at_the_press_of_a_button(page):
    figure = figure_of(page, DIGIT)
    says(figure, "Drawn")
    shelf = figure.locator("[data-role=shelf] canvas")
    before, count = pixels(figure, "x"), shelf.count()
    figure.get_by_role("button", name="draw a 1").click()
    says(figure, "Drawn: a 1")
    is_a_digit(pixels(figure, "x"))
    assert np.abs(pixels(figure, "x") - before).max() > 100
    assert shelf.count() == min(10, count + 1)
    assert shelf.first.get_attribute("aria-label") == "a 1 drawn before"


def test_the_guess_follows_the_slider(page):
    figure = figure_of(page, DENOISE)
    slider = figure.locator("[name=t]")
    slider.focus()
    page.keyboard.press("Home")
    clean = pixels(figure, "x0")
    assert np.abs(pixels(figure, "x") - clean).mean() < 5
    assert np.abs(pixels(figure, "x0_hat") - clean).mean() < 5
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert figure.locator("span[data-role=t]").inner_text() == slider.get_attribute("aria-valuetext") == "t = 4"
    page.keyboard.press("End")
    assert np.abs(pixels(figure, "x") - clean).mean() > 50
    blur = pixels(figure, "x0_hat")
    assert np.abs(blur - pixels(figure, "x")).mean() > 50
    noise = pixels(figure, "x")
    figure.get_by_role("button", name="New noise").click()
    assert np.abs(pixels(figure, "x") - noise).mean() > 20


def test_a_walk_can_be_stopped_and_gone_back_over(page):
    figure = figure_of(page, WALK)
    for name, value in (("eta", "0"), ("steps", "10")):
        figure.locator(f"[name={name}]").select_option(value)
    says(figure, "over")
    end = pixels(figure, "x")
    is_a_digit(end)
    figure.locator("[name=at]").focus()
    page.keyboard.press("Home")
    assert figure.locator("span[data-role=at]").inner_text() == "step 0 of 10, t = 1000"
    assert np.abs(pixels(figure, "x") - end).mean() > 40
    play = figure.locator("[name=play]")
    figure.locator("[name=steps]").select_option("250")
    page.wait_for_function("f => +f.querySelector('[name=at]').value > 2", arg=figure.element_handle())
    play.click()
    assert play.inner_text() == "Walk"
    stopped = figure.locator("[name=at]").input_value()
    assert 2 < int(stopped) < 250
    page.wait_for_timeout(200)
    assert figure.locator("[name=at]").input_value() == stopped
    figure.locator("[name=steps]").select_option("10")
    says(figure, "over")
    np.testing.assert_array_equal(pixels(figure, "x"), end)  # a seed is a picture
    figure.locator("[name=guidance]").select_option("2")
    figure.locator("[name=label]").select_option("4")
    page.wait_for_timeout(50)
    says(figure, "over")
    assert np.abs(pixels(figure, "x") - end).max() > 100


def test_what_a_hand_draws_is_drawn_anew(page):
    figure = figure_of(page, REDRAW)
    figure.get_by_role("button", name="Clear").click()
    assert pixels(figure, "pad").max() == 0
    pad = figure.locator("[data-role=pad]")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()
    drawn = pixels(figure, "pad")
    assert drawn[10:20, 13:15].min() > 200  # a one
    assert drawn[:, :10].max() == 0
    figure.get_by_role("button", name="Take the noise out").click()
    says(figure, "taken out")
    made = pixels(figure, "result")
    is_a_digit(made)
    assert np.corrcoef(made.flatten(), drawn.flatten())[0, 1] > 0.5  # still the one that was drawn
    figure.get_by_role("button", name="Draw one for me").click()
    says(figure, "Drawn for you")
    is_a_digit(pixels(figure, "pad"))


def test_the_page_asks_for_nothing_and_nothing_goes_wrong(static_page):
    for which in (REDRAW, DIGIT, DENOISE, WALK):
        figure_of(static_page, which)
    figure = figure_of(static_page, WALK)
    figure.locator("[name=play]").click()
    says(figure, "over")
    assert static_page.wrong == []
    for which in (REDRAW, DIGIT, DENOISE, WALK):
        box = figure_of(static_page, which).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 391


def test_with_less_motion_only_the_end_is_shown(chromium, static_file):
    context = chromium.new_context(offline=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(static_file.as_uri())
    figure = figure_of(page, WALK)
    figure.evaluate("""f => { f.seen = 0; const at = f.querySelector('[data-role=at]');
      new MutationObserver(() => f.seen++).observe(at, {childList: true}); }""")
    figure.locator("[name=play]").click()
    says(figure, "over")
    page.wait_for_timeout(50)
    assert figure.evaluate("f => f.seen") == 1
    is_a_digit(pixels(figure, "x"))
    context.close()


def test_a_figure_without_its_network_says_which_cell_to_run(blank, mnist):
    from diffusion_lesson.page.sampler import PageSampler

    options = {"still": np.zeros((1, 28, 28)), "labels": ["noise"], "caption": "c", "alt": "a"}
    bare, full = (
        PageSampler(mnist[1], "digit", **options, carry=carry)._repr_mimebundle_()["text/html"]
        for carry in (False, True)
    )
    blank.set_content(bare)
    says(blank.locator("figure"), "run that cell")
    blank.evaluate(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(full)})")
    says(blank.locator("figure").first, "Drawn")  # and draws as soon as that is run


def test_a_site_keeps_the_network_in_a_file(chromium, mnist, tmp_path):
    from diffusion_lesson.page.sampler import PageSampler

    options = {"still": np.zeros((1, 28, 28)), "labels": ["noise"], "caption": "c", "alt": "a", "carry": False}
    text = PageSampler(mnist[1], "digit", **options)._repr_mimebundle_()["text/html"]
    (tmp_path / "network.js").write_text(mnist[1].program, "utf-8")
    (tmp_path / "page.html").write_text(text.replace("<figure ", '<figure data-src="network.js" '), "utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    says(page.locator("figure"), "Drawn")
    page.close()


def test_in_a_notebook_that_is_not_trusted_still_pictures_are_seen(chromium, lab):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/untrusted/tree/executed.ipynb")
    still = page.locator("img[alt='a still picture, three']").first
    still.wait_for(timeout=60_000, state="attached")
    still.scroll_into_view_if_needed()
    assert still.is_visible()
    assert page.locator("figure canvas").count() == 0 or not page.locator("figure canvas").first.is_visible()
    page.close()
