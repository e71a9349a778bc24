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
