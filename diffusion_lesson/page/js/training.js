// Training in the page: the loop, and the figure that shows it.

/**
 * Trains as learning/step.py does: AdamW, a rate that rises for 100 steps and falls to 0 along a cosine, gradients of
 * norm 1 at most, and an average of the weights. Yields {step, loss, averaged} after each step.
 * @param {Learner} learner @param {{T: number, signal: number[], noise: number[]}} schedule
 * @param {Float32Array[]} pictures @param {{steps: number, batch_size: number, learning_rate: number, ema: number}} config @param {number} seed
 */
function* train(learner, schedule, pictures, {steps, batch_size, learning_rate, ema}, seed) {
  const {weights, slopes, count} = learner, averaged = weights.slice();
  const first = new Float32Array(count), second = new Float32Array(count); // moments of the slopes
  const normal = normals(seed, 0), whole = wholes(seed, 2); // % n favours small numbers by n/2³²
  for (let step = 1; step <= steps; step++) {
    learner.start();
    let loss = 0;
    for (let k = 0; k < batch_size; k++) {
      const x0 = pictures[whole() % pictures.length], t = 1 + whole() % schedule.T, eps = normal(x0.length);
      loss += learner.learn(noisy(schedule, t, x0, eps), t, eps, 1 / batch_size) / batch_size;
    }
    const norm = Math.sqrt(slopes.reduce((sum, slope) => sum + slope ** 2, 0)), clip = Math.min(1, 1 / (norm + 1e-6));
    const rate = learning_rate * Math.min(step / 100, 1) * 0.5 * (1 + Math.cos(Math.PI * (step - 1) / steps));
    const kappa = Math.min(ema, step / (step + 9)), a = 1 - 0.9 ** step, b = 1 - 0.999 ** step;
    for (let k = 0; k < count; k++) {
      const slope = clip * slopes[k];
      first[k] += 0.1 * (slope - first[k]);
      second[k] += 0.001 * (slope ** 2 - second[k]);
      weights[k] -= rate * (0.01 * weights[k] + first[k] / a / (Math.sqrt(second[k] / b) + 1e-8));
      averaged[k] += (1 - kappa) * (weights[k] - averaged[k]);
    }
    yield {step, loss, averaged};
  }
}

/** What `look` makes of the network with these weights in place of its own. */
function withWeights(learner, weights, look) {
  const own = learner.weights.slice();
  learner.weights.set(weights);
  const made = look();
  learner.weights.set(own);
  return made;
}

const BETWEEN = 50; // steps between two looks at what the network draws
const MEAN = 10; // losses are shown as the mean of so many

/** A network learns while one looks: its loss as a curve, and what it draws from the same noises again and again. */
function learnFigure(figure) {
  const {network, size, root} = figure, {unet: learner, schedule, training, begins} = network, {steps} = training;
  const all = bytes(root.dataset.pictures), play = figure.control("play");
  const pictures = Array.from({length: all.length / size ** 2}, (_, k) =>
    Float32Array.from(all.subarray(k * size ** 2, (k + 1) * size ** 2), byte => byte / 127.5 - 1));
  const canvases = root.querySelectorAll("[data-role=sample]");
  let run, step, losses, points, seconds, going = false;
  const draw = weights => withWeights(learner, weights, () => canvases.forEach((canvas, k) => {
    let x = normals(k)(size ** 2);
    for (const next of ddim(network, x, {steps: 20, eta: 1, z: normals(k, 1)})) x = next.x;
    paint(canvas, x, size);
  }));
  const mean = numbers => numbers.reduce((sum, number) => sum + number / numbers.length, 0);
  const number = count => count.toLocaleString("en");
  const look = averaged => {
    draw(averaged);
    figure.find("curve").setAttribute("points", points.join(" "));
    const told = `loss ${mean(losses.slice(-100)).toFixed(2)} (mean of ${Math.min(100, step)})`;
    figure.say(step < steps ? `Step ${number(step)} of ${number(steps)}: ${told}.`
      : `Trained: ${number(steps)} steps in ${(seconds / 1000).toFixed(0)} seconds, ${told}.`);
  };
  const turn = on => {
    going = on;
    play.textContent = on ? "Stop" : step ? "Go on" : "Train";
    play.disabled = step === steps;
  };
  const tick = () => {
    if (!going || !root.isConnected) return;
    const begun = performance.now();
    let averaged = null;
    while (!averaged && performance.now() < begun + 100) {
      const done = run.next().value;
      step = done.step;
      losses.push(done.loss);
      if (step % MEAN === 0) points.push(`${300 * step / steps},${100 - 100 * Math.min(1, mean(losses.slice(-MEAN)))}`);
      if (step % BETWEEN === 0 || step === steps) averaged = done.averaged;
    }
    seconds += performance.now() - begun;
    if (averaged) look(averaged);
    if (step === steps) turn(false);
    setTimeout(tick); // the page has its turn
  };
  const begin = () => {
    const seed = figure.value("seed", 0);
    learner.begin(begins, seed);
    run = train(learner, schedule, pictures, training, seed);
    [step, seconds, losses, points] = [0, 0, [], []];
    figure.find("curve").setAttribute("points", "");
    figure.say("");
    draw(learner.weights);
    turn(false);
  };
  figure.on("play", "click", () => { turn(!going); tick(); });
  figure.on("begin", "click", begin);
  figure.on("seed", "change", begin);
  begin();
}

KINDS.learn = learnFigure;
Learner.also = {train};
