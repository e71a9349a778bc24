// The figures: what their controls do. The HTML around them is made by page/sampler.py.

/** A figure that has been woken: its canvases by data-role, its controls by name. */
class Figure {
  /** @param {HTMLElement} root */
  constructor(root, network) {
    this.root = root;
    this.network = network;
    this.size = network.unet.config.size;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.turn = 0; // which walk is allowed to go on
  }

  find(role) {
    return this.root.querySelector(`[data-role="${role}"]`);
  }

  control(name) {
    return this.root.querySelector(`[name="${name}"]`);
  }

  /** The number a control says; where there is no such control, what it would say untouched. */
  value(name, otherwise) {
    const control = this.control(name), value = control ? parseFloat(control.value) : NaN;
    return Number.isNaN(value) ? otherwise : value;
  }

  on(name, event, action) {
    for (const control of this.root.querySelectorAll(`[name="${name}"]`)) control.addEventListener(event, () => action(control));
  }

  /** What the network is told. */
  told() {
    return {label: this.value("label", -1), guidance: this.value("guidance", 1)};
  }

  noise(stream = 0) {
    return normals(this.value("seed", 0), stream);
  }

  paint(role, x) {
    paint(this.find(role), x, this.size);
  }

  say(text) {
    this.find("status").textContent = text;
  }

  /** The step a slider stands at, which it also says. */
  step() {
    const slider = this.control("t");
    this.find("t").textContent = `t = ${slider.value}`;
    slider.setAttribute("aria-valuetext", `t = ${slider.value}`);
    return Number(slider.value);
  }

  /**
   * Walk on, one step for each frame of the screen; each step is shown, or only the last where less motion is asked
   * for. Another walk, `stop`, or the figure's end stops it. @param {Iterator} walk
   */
  walk(walk, show, end = () => {}) {
    const turn = ++this.turn, later = this.calm ? setTimeout : requestAnimationFrame;
    let last = null;
    const tick = () => {
      if (turn !== this.turn || !this.root.isConnected) return;
      const {value, done} = walk.next();
      if (done) {
        if (this.calm && last) show(last, true);
        this.turn++;
        return end(last);
      }
      last = value;
      show(last, !this.calm);
      later(tick);
    };
    tick();
  }

  stop() {
    this.turn++;
  }
}

/** A button: a new digit of the label it names. Those before stand small below it. */
function digitFigure(figure) {
  const {network, size} = figure;
  let seed = 0;
  const draw = button => {
    const label = Number(button.dataset.label), noise = normals(seed);
    const walk = ddim(network, noise(size ** 2), {steps: 25, eta: 1, label, z: normals(seed++, 1)});
    figure.say("");
    figure.walk(walk, ({x}, seen) => seen && figure.paint("x", x), ({x}) => {
      const shelf = figure.find("shelf"), small = figure.find("x").cloneNode();
      small.removeAttribute("data-role");
      small.setAttribute("aria-label", label < 0 ? "a digit drawn before" : `a ${label} drawn before`);
      small.style.cssText = "width:2.6em;aspect-ratio:1;image-rendering:pixelated";
      paint(small, x, size);
      shelf.prepend(small);
      while (shelf.children.length > 10) shelf.lastChild.remove();
      figure.say(`Drawn: ${label < 0 ? "a digit" : `a ${label}`}, number ${seed}.`);
    });
  };
  figure.on("draw", "click", draw);
  const buttons = figure.root.querySelectorAll("[name=draw]");
  draw(buttons[buttons.length >> 1]);
}

/** Noise at t in, the network's guess out, as the slider moves. */
function denoiseFigure(figure) {
  const {network, size} = figure, pictures = bytes(figure.root.dataset.pictures);
  const look = () => {
    const t = figure.step(), first = figure.value("picture", 0) * size ** 2;
    const x0 = Float32Array.from(pictures.subarray(first, first + size ** 2), byte => byte / 127.5 - 1);
    const x = noisy(network.schedule, t, x0, figure.noise()(size ** 2));
    const guessed = guess(network, x, t, figure.told());
    const off = Math.sqrt(guessed.reduce((sum, value, k) => sum + (value - x0[k]) ** 2, 0) / x.length);
    figure.paint("x0", x0);
    figure.paint("x", x);
    figure.paint("x0_hat", guessed);
    figure.say(`The guess is off by ${off.toFixed(2)} a pixel.`);
  };
  for (const name of ["t", "picture", "label", "seed"]) figure.on(name, "input", look);
  newSeed(figure, look);
  look();
}

/** A walk one can stop, and go back over: x_t beside the guess. */
function walkFigure(figure) {
  const {network, size} = figure, play = figure.control("play"), at = figure.control("at");
  let walk, path;
  const show = k => {
    at.max = figure.value("steps", 25);
    at.value = k;
    const text = `step ${k} of ${at.max}, t = ${path[k].t}`;
    figure.find("at").textContent = text;
    at.setAttribute("aria-valuetext", text);
    figure.paint("x", path[k].x);
    figure.paint("x0_hat", path[k].x0);
  };
  const name = () => { play.textContent = figure.going ? "Stop" : "Walk"; };
  const stop = () => { figure.stop(); figure.going = false; name(); };
  const begin = () => {
    const x = figure.noise()(size ** 2), t = network.schedule.T;
    walk = ddim(network, x, {steps: figure.value("steps", 25), eta: figure.value("eta", 1), z: figure.noise(1), ...figure.told()});
    path = [{x, x0: guess(network, x, t, figure.told()), t}];
    show(0);
  };
  const go = () => {
    if (path[path.length - 1].t === 0) begin();
    figure.going = true;
    name();
    figure.say("");
    figure.walk(walk, (step, seen) => {
      if (path[path.length - 1] !== step) path.push(step);
      if (seen) show(path.length - 1);
    }, () => { stop(); figure.say("The walk is over: this is x₀."); });
  };
  for (const control of ["label", "steps", "eta", "guidance", "seed"]) figure.on(control, "change", () => { begin(); go(); });
  figure.on("play", "click", () => figure.going ? stop() : go());
  figure.on("at", "input", () => { stop(); show(Math.min(at.value, path.length - 1)); });
  newSeed(figure, () => { begin(); go(); });
  begin();
}

/** Draw, add noise, and let the network take it out. */
function redrawFigure(figure) {
  const {network, size} = figure, pad = figure.find("pad");
  let drawn = new Float32Array(size ** 2).fill(-1), last = null;
  const look = () => {
    figure.stop();
    figure.paint("pad", drawn);
    figure.paint("x", noisy(network.schedule, figure.step(), drawn, figure.noise()(size ** 2)));
  };
  const walk = (x, from, end) => figure.walk(
    ddim(network, x, {steps: Math.ceil(25 * from / network.schedule.T), eta: 1, from, z: figure.noise(1), ...figure.told()}),
    (step, seen) => seen && figure.paint("result", step.x), end);
  const stroke = event => {
    const box = pad.getBoundingClientRect(), scale = size / box.width;
    const here = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    ink(drawn, size, last || here, here);
    last = here;
    look();
  };
  pad.addEventListener("pointerdown", event => { pad.setPointerCapture(event.pointerId); last = null; stroke(event); pad.down = true; });
  pad.addEventListener("pointermove", event => { if (pad.down) stroke(event); });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { pad.down = false; });
  figure.on("clear", "click", () => { drawn.fill(-1); look(); });
  figure.on("t", "input", look);
  figure.on("example", "click", () => {
    figure.control("seed").value = figure.value("seed", 0) + 1;
    walk(figure.noise()(size ** 2), network.schedule.T, ({x}) => { drawn = x; look(); figure.say("Drawn for you."); });
  });
  newSeed(figure, look);
  figure.on("go", "click", () => {
    const t = figure.step(), x = noisy(network.schedule, t, drawn, figure.noise()(size ** 2));
    figure.say("");
    walk(x, t, () => figure.say("The noise is taken out."));
  });
  look();
}

const KINDS = {digit: digitFigure, denoise: denoiseFigure, walk: walkFigure, redraw: redrawFigure};

function newSeed(figure, action) {
  figure.on("again", "click", () => {
    const seed = figure.control("seed");
    seed.value = figure.value("seed", 0) + 1;
    action();
  });
}

/** A line of a soft pen, in numbers from −1 to 1. */
function ink(x, size, [x1, y1], [x2, y2]) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2, radius = size / 19;
  for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) {
    const px = column + 0.5, py = row + 0.5;
    const along = length ? Math.min(1, Math.max(0, ((px - x1) * (x2 - x1) + (py - y1) * (y2 - y1)) / length)) : 0;
    const distance = Math.hypot(px - x1 - along * (x2 - x1), py - y1 - along * (y2 - y1));
    const value = 2 * Math.min(1, Math.max(0, radius + 0.5 - distance)) - 1;
    x[row * size + column] = Math.max(x[row * size + column], value);
  }
}

/** −1 is black and 1 white. @param {HTMLCanvasElement} canvas */
function paint(canvas, x, size) {
  const context = canvas.getContext("2d"), image = context.createImageData(size, size);
  x.forEach((value, k) => { image.data.fill(127.5 * (value + 1), 4 * k, 4 * k + 3); image.data[4 * k + 3] = 255; });
  context.putImageData(image, 0, 0);
}
