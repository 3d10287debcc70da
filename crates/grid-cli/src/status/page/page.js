"use strict";
// Asks for the page again and takes over what has changed, so that focus, selection and scrolling stay where they are.
(() => {
  const PERIOD = 2000;
  const PATIENCE = 8000;

  const root = document.documentElement;
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  let updates = 0;
  let silent = null;

  function say(text, bad) {
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle("bad", bad);
  }

  // Makes a node like another one, with as few changes as that takes.
  function follow(node, wanted) {
    if (node.nodeType !== wanted.nodeType || node.nodeName !== wanted.nodeName || node.id !== wanted.id) {
      node.replaceWith(document.importNode(wanted, true));
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== wanted.data) node.data = wanted.data;
      return;
    }
    // What the script itself says there is not the server's.
    if (node.id === "sight") return;
    for (const { name } of [...node.attributes]) {
      if (!wanted.hasAttribute(name)) node.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    }
    const [old, fresh] = [[...node.childNodes], [...wanted.childNodes]];
    fresh.forEach((child, at) => {
      if (at < old.length) follow(old[at], child);
      else node.append(document.importNode(child, true));
    });
    old.slice(fresh.length).forEach((child) => child.remove());
  }

  async function load() {
    // Without the name and password that may stand in the address, which a request may not have.
    const here = new URL(location.pathname, location.origin);
    const answer = await fetch(here, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`the answer is ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const wanted = page.getElementById("main");
    if (!wanted) throw new Error("the answer is another page");
    follow(document.getElementById("main"), wanted);
    document.title = page.title;
  }

  const paused = () => pause.getAttribute("aria-pressed") === "true";

  async function turn() {
    if (!paused() && !document.hidden) {
      let failed = null;
      try {
        await load();
        silent = null;
        updates += 1;
        root.dataset.updates = updates;
      } catch (error) {
        silent ??= new Date();
        failed = error;
      }
      // Who has paused meanwhile is told nothing else.
      if (!paused()) {
        if (failed) say(`no answer since ${silent.toLocaleTimeString()}: ${failed.message}`, true);
        else say("live", false);
      }
    }
    setTimeout(turn, PERIOD);
    // Last, so that nothing which goes wrong in it stops the turns.
    tell();
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!paused()));
    say(paused() ? "paused" : "live", false);
  });

  // The mesh by keys: arrows go from cell to cell, and the line below says what one means.
  let shown = null;

  function cellOf(target) {
    // Not the corner, which means nothing.
    return target instanceof Element ? target.closest(".matrix tbody td") : null;
  }

  function tell() {
    const sight = document.getElementById("sight");
    if (!sight) return;
    if (!shown || !shown.isConnected) {
      sight.textContent = "";
      return;
    }
    const table = shown.closest("table");
    const from = shown.parentElement.querySelector("th");
    const to = table.tHead.rows[0].cells[shown.cellIndex].querySelector("abbr");
    const meaning = document.getElementById("legend").getElementsByClassName(shown.classList.item(0))[0];
    const time = /^[0-9]/.test(shown.textContent) ? `, ${shown.textContent} ms` : "";
    sight.textContent = from.dataset.name === to.title
      ? from.dataset.name
      : `${from.dataset.name} → ${to.title}: ${meaning ? meaning.textContent : ""}${time}`;
  }

  function show(event) {
    const cell = cellOf(event.target);
    if (cell) {
      shown = cell;
      tell();
    }
  }

  document.addEventListener("focusin", show);
  document.addEventListener("mouseover", show);
  document.addEventListener("keydown", (event) => {
    const mesh = document.getElementById("mesh");
    if (!mesh || !mesh.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const cell = cellOf(event.target);
    const rows = mesh.querySelector("tbody").rows;
    let [row, column] = cell ? [cell.parentElement.sectionRowIndex, cell.cellIndex] : [0, 0];
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key in steps) {
      const [down, right] = steps[event.key];
      if (cell) [row, column] = [row + down, column + right];
    } else if (event.key === "Home") column = 1;
    else if (event.key === "End") column = rows.length;
    else return;
    const next = rows[Math.min(Math.max(row, 0), rows.length - 1)].cells;
    next[Math.min(Math.max(column, 1), next.length - 1)].focus();
    event.preventDefault();
  });

  setTimeout(turn, PERIOD);
  say("live", false);
})();
