// Draws a report's figures when they come into sight and all before it is printed, and hands its data over.
"use strict";
(() => {
  const SIDES_MM = 2 * 14, A4_MM = 210, PX_PER_MM = 96 / 25.4; // as the style has it
  const PRINT_WIDTH = Math.floor((A4_MM - SIDES_MM) * PX_PER_MM);
  const PRINT_GAP = Math.ceil(6 * PX_PER_MM); // between two figures side by side
  const PRINT_SCALE = 0.85; // of heights, as the letters on paper are to those on the screen
  const MOST_ROWS = 500; // of a table of a figure's data
  const CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg" },
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const looks = json("looks");
  const known = new Map(); // a figure's traces and layout by its key
  let paper = false;

  function figure(key) {
    if (!known.has(key)) known.set(key, json(`figure-${key}`));
    return known.get(key);
  }

  const letters = (text) => text.match(/&\w+;|[^]/gu) ?? [];
  const short = (text, most) => (letters(text).length <= most ? text : `${letters(text).slice(0, most - 1).join("")}…`);

  // Names take no more than their share of a figure; pointing at a mark, and the table, tell them whole.
  function fit(data, layout, width, size) {
    const room = (pixels) => Math.max(10, Math.floor(pixels / (0.56 * size))); // in letters of usual fonts
    for (const trace of data) if (trace.name) trace.name = short(trace.name, room(width) - 8);
    const along = { x: { tick: 24, title: room(0.7 * width) }, y: { tick: room(0.45 * width), title: room(0.7 * layout.height) } };
    for (const [name, most] of Object.entries(along)) {
      const axis = (layout[`${name}axis`] ??= {});
      if (axis.title?.text) axis.title.text = short(axis.title.text, most.title);
      const names = [...new Set(data.flatMap((trace) => trace[name] ?? []))];
      const areTexts = names.some((each) => typeof each === "string");
      if (areTexts && names.some((each) => letters(each).length > most.tick)) {
        Object.assign(axis, { tickvals: names, ticktext: names.map((each) => short(each, most.tick)) });
      } else if (!areTexts && name === "x") {
        axis.tickangle = 0; // fewer numbers, not turned ones, where there is little room
      }
    }
  }

  const paperWidth = (plot) => (plot.closest(".beside") ? Math.floor((PRINT_WIDTH - PRINT_GAP) / 2) : PRINT_WIDTH);

  function draw(plot) {
    const { data, layout } = figure(plot.dataset.figure);
    const template = looks[paper ? "paper" : dark.matches ? "dark" : "light"];
    const width = paper ? paperWidth(plot) : undefined;
    const config = { ...CONFIG, toImageButtonOptions: { format: "svg", filename: plot.dataset.figure } };
    // A copy, because Plotly writes into what it is given.
    const copy = structuredClone({ data, layout });
    if (paper) copy.layout.height *= PRINT_SCALE;
    fit(copy.data, copy.layout, width ?? plot.clientWidth, template.layout.font.size);
    Plotly.react(plot, copy.data, { ...copy.layout, template, width, autosize: !paper }, config);
    plot.dataset.drawn = paper ? "paper" : "screen";
  }

  const plots = all(".plot");
  const inSight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !target.dataset.drawn) draw(target);
    }
  }, { rootMargin: "600px" });
  plots.forEach((plot) => inSight.observe(plot));
  const drawn = () => plots.filter((plot) => plot.dataset.drawn);
  dark.addEventListener("change", () => drawn().forEach(draw));

  // --- on paper everything is unfolded, light, and as wide as the paper

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details.fold:not([open])");
    folded.forEach((each) => { each.open = true; });
    paper = true;
    plots.forEach(draw);
  });
  addEventListener("afterprint", () => {
    folded.forEach((each) => { each.open = false; });
    paper = false;
    plots.forEach(draw);
  });

  // --- pictures, each of which the file has once

  const pictures = json("pictures");
  for (const image of all("img[data-picture]")) image.src = pictures[image.dataset.picture];

  // --- data

  function table(key) {
    const { columns, values } = json(`data-${key}`);
    const whole = values.map((column) => (column.words ? column.codes.map((code) => column.words[code]) : column));
    const rows = (whole[0] ?? []).map((_, row) => whole.map((column) => column[row]));
    return { columns, rows };
  }

  const field = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const WRITTEN = {
    csv: ({ columns, rows }) => [columns, ...rows].map((row) => row.map(field).join(",")).join("\n") + "\n",
    json: ({ columns, rows }) =>
      JSON.stringify(rows.map((row) => Object.fromEntries(row.map((value, place) => [columns[place], value]))), null, 1),
  };
  const KINDS = { csv: "text/csv", json: "application/json" };

  function save({ save: kind, of: key }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([WRITTEN[kind](table(key))], { type: `${KINDS[kind]};charset=utf-8` }));
    link.download = `${key}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function fill(into, key) {
    const { columns, rows } = table(key);
    const made = document.createElement("table");
    const line = (values, parent, tag) => {
      const row = parent.appendChild(document.createElement("tr"));
      for (const value of values) {
        const cell = row.appendChild(document.createElement(tag));
        if (tag === "th") cell.scope = "col";
        if (typeof value === "number") cell.className = "number";
        cell.textContent = typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(4) : value;
      }
    };
    line(columns, made.createTHead(), "th");
    const body = made.createTBody();
    rows.slice(0, MOST_ROWS).forEach((row) => line(row, body, "td"));
    into.replaceChildren(made);
    if (rows.length > MOST_ROWS) into.append(`The first ${MOST_ROWS} of ${rows.length} rows; CSV and JSON have all.`);
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.save) save(button.dataset);
    if (button && "copy" in button.dataset) copy(button);
  });

  for (const each of all("details.data")) {
    each.addEventListener("toggle", () => {
      if (each.open) fill(each.querySelector(".scroll"), each.dataset.of);
    });
  }

  function copy(button) {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code); // of which the clipboard is filled where pages of files may not do so
    const done = () => { button.textContent = "Copied"; };
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, () => document.execCommand("copy") && done());
    else if (document.execCommand("copy")) done();
  }

  // --- links into what is folded, and contents that are folded where there is little room

  function unfold() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) {
      if (each.matches("details.fold")) each.open = true;
    }
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  if (matchMedia("(max-width: 1100px)").matches) document.querySelector("nav details").open = false;
  unfold();
})();
