// Which exercises are solved: a tick box at each, kept in the browser and nowhere else.
(() => {
  const KEY = "diffusion-lesson solved";
  const kept = () => { try { return JSON.parse(localStorage.getItem(KEY)) || {} } catch { return {} } };
  const keep = solved => { try { localStorage.setItem(KEY, JSON.stringify(solved)) } catch { /* a browser that keeps nothing */ } };
  const lesson = location.pathname.split("/").pop().replace(/\.html$/, "");
  document.querySelectorAll(".cell.tag_exercise").forEach(cell => {
    const line = document.createElement("p");
    line.innerHTML = '<label><input type="checkbox"> I have solved it</label>';
    line.querySelector("input").dataset.solved = lesson;
    cell.after(line);
  });
  const boxes = [...document.querySelectorAll("[data-solved]")];
  const show = () => {
    const solved = kept();
    boxes.forEach(box => { box.checked = Boolean(solved[box.dataset.solved]) });
    const done = boxes.filter(box => box.checked).length;
    document.querySelectorAll("[data-solved-count]").forEach(o => { o.textContent = `${done} of ${boxes.length} solved.` });
  };
  boxes.forEach(box => box.addEventListener("change", () => {
    const solved = kept();
    if (box.checked) solved[box.dataset.solved] = true; else delete solved[box.dataset.solved];
    keep(solved); show();
  }));
  document.querySelectorAll("[data-solved-reset]").forEach(b => b.addEventListener("click", () => { keep({}); show() }));
  window.addEventListener("pageshow", show);
})();
// What is wider than the page scrolls in its own box, and a keyboard has to reach the box. Printed lines in which
// nothing stands below each other are sentences, and wrap.
(() => {
  const boxes = ".cell_output .text_html, .cell_output pre, .bd-article section > p:has(> img:only-child)";
  document.querySelectorAll(".cell_output pre").forEach(pre => {
    if (!/\S {2,}\S/.test(pre.textContent)) pre.classList.add("sentences");
  });
  const reach = () => document.querySelectorAll(boxes).forEach(box => {
    if (box.scrollWidth > box.clientWidth && !box.querySelector("figure")) box.tabIndex = 0;
  });
  window.addEventListener("load", reach);
  window.addEventListener("resize", reach);
})();
// An equation that is wider than the page is set smaller, down to three quarters; what is wider still scrolls.
window.addEventListener("load", () => globalThis.MathJax?.startup?.promise.then(() => {
  const wide = [...document.querySelectorAll("div.math > mjx-container")]
    .map(e => [e, e.parentElement.scrollWidth / e.parentElement.clientWidth, parseFloat(getComputedStyle(e).fontSize)])
    .filter(([, ratio]) => ratio > 1);
  for (const [e, ratio, size] of wide)
    e.style.setProperty("font-size", `${size * Math.max(0.75, 0.99 / ratio)}px`, "important");
}));
