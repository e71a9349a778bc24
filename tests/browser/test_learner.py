"""The page trains: its slopes are autograd's, its steps are PyTorch's, and the figure shows them."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.page import normals
from diffusion_lesson.learning.step import learning_rate, update_ema
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.network import PageLearner
from diffusion_lesson.page.sampler import PageSampler
from diffusion_lesson.process import losses, schedule

TRAINING = {"steps": 60, "batch_size": 4, "learning_rate": 3e-3, "ema": 0.9}
DIGITS = {"width": 16, "mults": [1, 2], "patch": 1}


@pytest.fixture
def blank(chromium):
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    yield page
    assert page.wrong == []
    context.close()


def made(config, size, *, T=200, training=TRAINING):
    """PyTorch's network, every weight random, those too that begin at 0; and one of its make for the page."""
    torch.manual_seed(0)
    model = UNet(1, **config)
    options = {"schedule": {"kind": "cosine", "T": T}, "predicts": "eps", "size": size, "training": training}
    learner = PageLearner(model.state_dict(), model.config, **options)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model, learner


def numbers(model):
    return {name: parameter.detach().flatten().tolist() for name, parameter in model.named_parameters()}


# Numbers of a layer as PyTorch lays them out: output channels first.
LAID_OUT = """const laidOut = ({inputs, outputs, size}, numbers) => {
  const places = size ** 2, out = [];
  for (let o = 0; o < outputs; o++) for (let c = 0; c < inputs; c++) for (let p = 0; p < places; p++)
    out.push(numbers[(p * inputs + c) * outputs + o]);
  return out;
};
const given = (unet, weights) => {
  for (const [name, {numbers, inputs, outputs, size}] of Object.entries(unet.layers))
    for (let o = 0, k = 0; o < outputs; o++)
      for (let c = 0; c < inputs; c++)
        for (let p = 0; p < size ** 2; p++, k++) numbers[(p * inputs + c) * outputs + o] = weights[name][k];
};"""
SLOPES = f"""([key, plain, weights, x, t, eps]) => {{
  {LAID_OUT}
  const {{unet}} = globalThis.diffusionLesson[key].network(plain);
  given(unet, weights);
  unet.start();
  const losses = x.map((x, k) => unet.learn(Float32Array.from(x), t[k], Float32Array.from(eps[k]), 1 / t.length));
  const each = Object.entries(unet.layers).map(([name, layer]) => [name, laidOut(layer, layer.slopes)]);
  return [unet.ops.constructor.name, losses, Object.fromEntries(each)];
}}"""


@pytest.mark.parametrize(
    ("config", "size"),
    [(DIGITS, 8), ({"width": 16, "mults": [1, 2, 1], "patch": 2}, 16), ({"width": 4, "mults": [1, 2]}, 6)],
)
@pytest.mark.parametrize("plain", [False, True])
def test_the_slopes_are_autograds(blank, config, size, plain):
    model, network = made(config, size)
    blank.add_script_tag(content=network.program)
    g = torch.Generator().manual_seed(1)
    x, eps = torch.randn(2, 3, 1, size, size, generator=g)
    t = torch.tensor([1, 77, 200])
    wanted = ((model(x, t) - eps) ** 2).mean(dim=(1, 2, 3))
    wanted.mean().backward()
    given = [network.key, plain, numbers(model), x.flatten(1).tolist(), t.tolist(), eps.flatten(1).tolist()]
    name, loss, slopes = blank.evaluate(SLOPES, given)
    assert name == ("PlainOperations" if plain else "WasmOperations")
    torch.testing.assert_close(torch.tensor(loss), wanted.detach(), atol=1e-5, rtol=1e-5)
    steepest = max(p.grad.abs().max() for p in model.parameters())
    assert len(slopes) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0
        off = torch.tensor(slopes[name]).reshape(parameter.shape) - parameter.grad
        assert off.abs().max() <= 1e-4 * steepest, name


BEGINNING = f"""([key, seed]) => {{
  {LAID_OUT}
  const {{unet, begins}} = globalThis.diffusionLesson[key].network();
  unet.begin(begins, seed);
  const each = Object.entries(unet.layers).map(([name, layer]) => [name, laidOut(layer, layer.numbers)]);
  return Object.fromEntries(each);
}}"""


def test_it_begins_as_pytorch_lets_a_network_begin(blank):
    """The same tensors are constant, and the others have the same spread: ±1/√n, evenly."""
    network = made(DIGITS, 8)[1]
    blank.add_script_tag(content=network.program)
    first, other = (blank.evaluate(BEGINNING, [network.key, seed]) for seed in (0, 1))
    torch.manual_seed(0)
    for name, parameter in UNet(1, **DIGITS).named_parameters():
        ours = torch.tensor(first[name])
        assert len(ours) == parameter.numel()
        if (parameter == parameter.flatten()[0]).all():
            assert (ours == parameter[0].flatten()[0]).all()
        elif len(ours) > 2000:
            assert first[name] != other[name]
            torch.testing.assert_close(ours.std(), parameter.std(), rtol=0.05, atol=0)
            torch.testing.assert_close(ours.abs().max(), parameter.abs().max(), rtol=0.01, atol=0)


STEPS = f"""([key, weights, x0, count]) => {{
  {LAID_OUT}
  const {{network, train}} = globalThis.diffusionLesson[key], {{unet, schedule, training}} = network();
  given(unet, weights);
  const losses = [];
  let last;
  for (last of train(unet, schedule, [Float32Array.from(x0)], training, 5))
    if (losses.push(last.loss) === count) break;
  const both = [unet.weights, last.averaged].map(numbers => Object.fromEntries(
    Object.entries(unet.layers).map(([name, layer]) => {{
      const top = (layer.numbers.byteOffset - unet.weights.byteOffset) / 4;
      return [name, laidOut(layer, numbers.subarray(top, top + layer.numbers.length))];
    }})));
  return [losses, ...both];
}}"""


def test_the_steps_are_pytorchs(blank):
    """With one picture and one t there is nothing to draw but ε, and that is the page's documented generator."""
    count, training = 12, TRAINING | {"steps": 12, "learning_rate": 0.03}
    model, network = made(DIGITS, 8, T=1, training=training)
    average, _ = made(DIGITS, 8)
    blank.add_script_tag(content=network.program)
    x0 = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    found, ended, averaged = blank.evaluate(STEPS, [network.key, numbers(model), x0.flatten().tolist(), count])
    optimizer = torch.optim.AdamW(model.parameters())
    draws = torch.from_numpy(normals(np.array([5]))(count * 4 * 64)).reshape(count, 4, 1, 8, 8)
    one = schedule.cosine(1)
    for step, eps in enumerate(draws, start=1):
        loss = losses.eps_loss(one, model, x0.expand(4, 1, 8, 8), t=1, eps=eps).mean()
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, training["steps"], training["learning_rate"])
        optimizer.step()
        update_ema(average, model, step, training["ema"])
        assert abs(found[step - 1] - loss.item()) < 1e-3 * loss.item()
    for ours, theirs in ((ended, model), (averaged, average)):
        for name, parameter in theirs.named_parameters():
            got = torch.tensor(ours[name]).reshape(parameter.shape)
            torch.testing.assert_close(got, parameter.detach(), atol=3e-5, rtol=0)  # leaving decay out: 1e-4


def test_the_figure_learns_stops_goes_on_and_begins_anew(blank):
    random = np.random.default_rng(0)
    flat = np.broadcast_to(random.choice([-0.9, 0.9], (40, 1, 1)), (40, 8, 8))  # black pages and white ones
    network = made(DIGITS, 8, training=TRAINING | {"steps": 200})[1]
    options = {"pictures": flat, "still": flat[:1], "labels": ["one"], "caption": "c", "alt": "a"}
    blank.set_content(PageSampler(network, "learn", **options)._repr_mimebundle_()["text/html"])
    figure, says = blank.locator("figure"), blank.locator("output")
    play = figure.locator("[name=play]")
    play.wait_for()

    def drawn():
        read = "c => c.map(c => [...c.getContext('2d').getImageData(0, 0, 8, 8).data])"
        return np.array(figure.locator("[data-role=sample]").evaluate_all(read)).reshape(8, 64, 4)[..., 0]

    def until(words):
        blank.wait_for_function("words => document.querySelector('output').textContent.includes(words)", arg=words)

    noise = drawn()
    assert noise.std(axis=1).min() > 50
    play.click()
    until("Step 50")
    play.click()
    assert play.inner_text() == "Go on"
    stopped = says.inner_text()
    blank.wait_for_timeout(300)
    assert says.inner_text() == stopped
    play.click()
    until("Trained: 200 steps")
    assert play.is_disabled()
    learned, curve = drawn(), figure.locator("polyline").get_attribute("points").split()
    assert learned.std(axis=1).mean() < 25 < noise.std(axis=1).min()  # pages of one grey
    assert len(curve) == 20
    assert float(curve[-1].split(",")[1]) > 40 > float(curve[0].split(",")[1])  # downwards, on a screen
    figure.get_by_role("button", name="From the start").click()
    np.testing.assert_array_equal(drawn(), noise)
    assert play.is_enabled()
    play.click()
    until("Trained: 200 steps")
    np.testing.assert_array_equal(drawn(), learned)  # the same seed, the same network
