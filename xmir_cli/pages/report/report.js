"use strict";
// The page's only script: goes through the queries, hits and methods of the JSON beside it, and
// sorts tables. Text is only ever set as text.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const PAPER = 190; // letters of a table that are as wide as paper
  const SVG = "http://www.w3.org/2000/svg";
  const state = { query: 0, hit: 0, method: "", alpha: page.alpha, bare: false, swapped: false, one: false };

  function make(tag, classes, text) {
    const made = document.createElement(tag);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  const number = (value) => (Math.abs(value) >= 0.001 || value === 0 ? String(Number(value.toPrecision(3))) : value.toExponential(1));
  const frameOf = (hit) => ({ "same label": "same", "another label": "other" })[hit.verdict] || "unknown";
  const query = () => page.queries[state.query];
  const hit = () => query().hits[state.hit];
  const firstOf = (one) => one.methods.find((each) => each.retrieved || each.query) || one.methods[0];
  const methodOf = (one) => one.methods.find((each) => each.name === state.method) || firstOf(one);

  function captionOf(one) {
    const parts = [];
    if (one.rank != null) parts.push(`rank ${one.rank}`);
    if (one.similarity != null) parts.push(`similarity ${one.similarity.toFixed(3)}`);
    for (const part of [one.label, one.verdict]) if (part) parts.push(part);
    return parts.join(", ");
  }

  function describe(kind, one, method, layer, marks) {
    const map = layer && !state.bare ? `, under its map of ${method.name}` : "";
    const marked = marks && one.outline && !state.bare ? ", what experts marked outlined" : "";
    return `${kind} ${one.name || one.words}${one.hits ? (one.label ? `, ${one.label}` : "") : `, ${captionOf(one)}`}${map}${marked}`;
  }

  // A picture, its map over it, and what is marked on it.
  function fill(stage, one, kind, method, side, marks) {
    const layer = method && method[side];
    stage.className = `stage ${side === "query" ? "query" : frameOf(one)}${layer && !state.bare ? " mapped" : ""}`;
    stage.replaceChildren();
    if (one.picture === null) {
      stage.style.setProperty("--ratio", 1);
      stage.append(make("p", "words", one.words || "This picture could not be read."));
      return;
    }
    const [width, height] = one.size;
    stage.style.setProperty("--ratio", width / height);
    const picture = make("img", "bare");
    picture.alt = describe(kind, one, method, layer, marks);
    picture.src = page.pictures[one.picture];
    stage.append(picture);
    if (layer) {
      const map = make("img", "map");
      const [left, top, wide, high] = layer.roi;
      map.alt = "";
      map.src = page.pictures[layer.map];
      map.style.left = `${(100 * left) / width}%`;
      map.style.top = `${(100 * top) / height}%`;
      map.style.width = `${(100 * wide) / width}%`;
      map.style.height = `${(100 * high) / height}%`;
      map.style.opacity = state.alpha;
      map.hidden = state.bare;
      stage.append(map);
    }
    if (marks) stage.append(...marked(one, method, side, stage.clientWidth));
  }

  function marked(one, method, side, shown) {
    const [width, height] = one.size;
    const letter = (17 * width) / (shown || 500); // 17 pixels on the screen
    const drawing = draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "marks" });
    const color = (index) => page.colors[index % page.colors.length];
    const box = (classes, [x, y, wide, high], more) => draw("rect", { class: classes, x, y, width: wide, height: high, ...more });
    const mapped = method && (method.query || method.retrieved);
    const roi = mapped && (method[side] ? method[side].roi : one.crop);
    if (roi && Math.max(roi[0], roi[1], width - roi[0] - roi[2], height - roi[1] - roi[3]) > 1 + 0.002 * Math.max(width, height)) {
      drawing.append(box("crop halo", roi), box("crop", roi));
    }
    if (one.outline) {
      const [wide, high] = one.outline.size;
      const place = { d: one.outline.path, transform: `scale(${width / wide} ${height / high})` };
      drawing.append(draw("path", { class: "outline halo", ...place }), draw("path", { class: "outline", ...place }));
    }
    const boxes = method ? method.matches.map((pair) => pair[side === "query" ? 0 : 1]) : [];
    boxes.forEach((place, index) => {
      const name = `Matched region ${index + 1} on the ${side === "query" ? "query" : "answer"}`;
      const group = draw("g", { class: "match", "data-match": index, tabindex: 0, role: "button", "aria-label": name, color: color(index) });
      const size = Math.min(letter, place[3] * 0.8);
      const label = draw("text", { x: place[0] + size * 0.2, y: place[1] + size, "font-size": size, fill: color(index), stroke: "#000", "stroke-width": size / 6, "paint-order": "stroke", "font-weight": "bold", "font-family": "sans-serif", "aria-hidden": "true" });
      label.textContent = index + 1;
      group.append(box("catch", place), box("halo", place), box("frame", place, { stroke: color(index) }), label);
      drawing.append(group);
    });
    if (side === "query" && one.region) {
      drawing.append(box("mark halo", one.region), box("mark frame", one.region, { stroke: color(0) }));
    }
    if (method && method.point && method.point.on === side) {
      const [cx, cy] = method.point.at;
      const r = Math.max(width, height) / 28;
      drawing.append(draw("circle", { class: "mark halo", cx, cy, r }), draw("circle", { class: "mark frame", cx, cy, r, stroke: color(0) }));
    }
    if (!drawing.childNodes.length) return [];
    drawing.toggleAttribute("hidden", state.bare);
    drawing.style.display = state.bare ? "none" : "";
    return [drawing];
  }

  function light(index) {
    for (const drawing of document.querySelectorAll("#pair svg.marks")) {
      drawing.classList.toggle("lighting", index !== null);
    }
    for (const each of document.querySelectorAll("#pair .match, #matches button")) {
      const lit = index !== null && Number(each.dataset.match) === index;
      each.classList.toggle("lit", lit);
      if (each.tagName === "BUTTON") each.setAttribute("aria-pressed", String(lit));
    }
  }

  let kept = null; // the matched region that stays lit
  function keep(index) {
    kept = kept === index ? null : index;
    light(kept);
  }

  function over(event) {
    const match = event.target.closest ? event.target.closest("[data-match]") : null;
    light(match ? Number(match.dataset.match) : kept);
  }

  function showBar(bar, layer, method) {
    bar.hidden = state.bare || !layer;
    if (bar.hidden) return;
    const [low, of, high] = bar.querySelectorAll("span");
    bar.querySelector(".colors").setAttribute("fill", `url(#gradient-${layer.colors})`);
    bar.querySelector(".colors").style.opacity = state.alpha;
    low.textContent = `${number(layer.low)} ${layer.ends[0]}`.trim();
    const most = layer.largest > 1.0001 * layer.full ? `${number(layer.largest)}, drawn as full colour` : number(layer.largest);
    of.textContent = `${method.name}: ${layer.unit}${layer.against ? `, against ${layer.against}` : ""}; largest here ${most}`;
    high.textContent = `${number(layer.full)} ${layer.ends[1]}`.trim();
  }

  function showMatches(method) {
    const numbers = document.querySelector("#matches .numbers");
    numbers.replaceChildren();
    (method ? method.matches : []).forEach((_, index) => {
      const button = make("button", "", String(index + 1));
      button.type = "button";
      button.dataset.match = index;
      button.setAttribute("aria-label", `Light up matched region ${index + 1}`);
      button.setAttribute("aria-pressed", "false");
      numbers.append(button);
    });
    at("matches").hidden = !numbers.childNodes.length || state.bare;
  }

  function press(id, on) {
    at(id).setAttribute("aria-pressed", String(on));
  }

  function show() {
    const method = methodOf(hit());
    const sides = { query: at("query"), retrieved: at("retrieved") };
    kept = null;
    at("pair").classList.toggle("one", state.one);
    fill(sides.query.firstElementChild, query(), "Query", method, "query", true);
    fill(sides.retrieved.firstElementChild, hit(), "Retrieved image", method, "retrieved", true);
    sides.query.querySelector("figcaption").replaceChildren(make("strong", "", "Query "), [query().name, query().picture === null ? "" : query().words, query().label].filter(Boolean).join(", "));
    sides.retrieved.querySelector("figcaption").replaceChildren(make("strong", "", "Answer "), `${hit().name}: ${captionOf(hit())}`);
    const [first, second] = state.swapped ? [sides.retrieved, sides.query] : [sides.query, sides.retrieved];
    first.classList.remove("second");
    second.classList.add("second");
    if (first.nextElementSibling !== second) at("pair").append(first, second);
    at("method").replaceChildren(...hit().methods.map((each) => {
      const option = make("option", "", each.name);
      option.selected = each === method;
      return option;
    }));
    at("method").disabled = hit().methods.length < 2;
    at("opacity").value = Math.round(state.alpha * 100);
    at("percent").textContent = `${Math.round(state.alpha * 100)} %`;
    press("bare", state.bare);
    press("swap", state.swapped);
    press("one", state.one);
    at("query-back").disabled = state.query === 0;
    at("query-on").disabled = state.query === page.queries.length - 1;
    at("hit-back").disabled = state.query === 0 && state.hit === 0;
    at("hit-on").disabled = at("query-on").disabled && state.hit === query().hits.length - 1;
    at("where").textContent = `Query ${state.query + 1} of ${page.queries.length}, hit ${state.hit + 1} of ${query().hits.length}${method ? `, ${method.name}` : ""}${state.bare ? ", bare" : ""}`;
    for (const side of ["query", "retrieved"]) showBar(sides[side].querySelector(".bar"), method && method[side], method);
    showMatches(method);
    for (const leaf of document.querySelectorAll(".leaf:not([hidden])")) leaf.hidden = true;
    for (const record of method ? method.records : []) at(`leaf-${record}`).hidden = false;
    for (const card of document.querySelectorAll('.card[aria-current="true"]')) card.removeAttribute("aria-current");
    const card = document.querySelector(`.card.answer[data-place="${state.query} ${state.hit}"]`);
    if (card) card.setAttribute("aria-current", "true");
  }

  const moves = {
    hitOn() {
      if (state.hit < query().hits.length - 1) state.hit += 1;
      else if (state.query < page.queries.length - 1) [state.query, state.hit] = [state.query + 1, 0];
    },
    hitBack() {
      if (state.hit > 0) state.hit -= 1;
      else if (state.query > 0) {
        state.query -= 1;
        state.hit = query().hits.length - 1;
      }
    },
    queryOn() {
      if (state.query < page.queries.length - 1) [state.query, state.hit] = [state.query + 1, 0];
    },
    queryBack() {
      if (state.query > 0) [state.query, state.hit] = [state.query - 1, 0];
    },
    method() {
      const methods = hit().methods;
      state.method = methods[(methods.indexOf(methodOf(hit())) + 1) % methods.length].name;
    },
    more() { state.alpha = Math.min(1, Math.round(state.alpha * 20 + 1) / 20); },
    less() { state.alpha = Math.max(0, Math.round(state.alpha * 20 - 1) / 20); },
    bare() { state.bare = !state.bare; },
    swap() { state.swapped = !state.swapped; },
    one() { state.one = !state.one; },
  };

  function go(move) {
    moves[move]();
    show();
  }

  const keys = { ArrowRight: "hitOn", ArrowLeft: "hitBack", n: "queryOn", p: "queryBack", m: "method", "+": "more", "=": "more", "-": "less", b: "bare", s: "swap", o: "one" };

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !at("listen").checked) return;
    const inside = event.target;
    if (inside.closest("select, .scroll")) return;
    if (inside.type === "range" && event.key.startsWith("Arrow")) return;
    if (event.key === "?") {
      at("keys").open = !at("keys").open;
      at("keys").scrollIntoView({ block: "nearest" });
    } else if (/^[1-9]$/.test(event.key)) {
      const method = methodOf(hit());
      if (method && method.matches.length >= Number(event.key)) keep(Number(event.key) - 1);
    } else if ((event.key === "Enter" || event.key === " ") && inside.matches(".match")) {
      keep(Number(inside.dataset.match));
    } else if (event.key in keys) {
      go(keys[event.key]);
    } else return;
    event.preventDefault();
  }

  function buildOverview() {
    const lazy = new IntersectionObserver((seen) => {
      for (const each of seen) if (each.isIntersecting) paint(each.target);
    }, { rootMargin: "300px" });
    const paints = new Map();
    function paint(stage) {
      if (!paints.has(stage)) return;
      paints.get(stage)();
      paints.delete(stage);
      lazy.unobserve(stage);
    }
    const card = (one, kind, method, side, place) => {
      const made = make("button", side === "query" ? "card" : "card answer");
      made.type = "button";
      made.dataset.place = place;
      const stage = make("span", "stage");
      stage.style.setProperty("--ratio", one.size ? one.size[0] / one.size[1] : 1);
      stage.classList.add(side === "query" ? "query" : frameOf(one));
      paints.set(stage, () => fill(stage, one, kind, method, side, false));
      lazy.observe(stage);
      made.append(stage, make("span", "told", side === "query" ? ["query", one.label].filter(Boolean).join(", ") : captionOf(one)), make("span", "name", one.name || one.words));
      return made;
    };
    page.queries.forEach((each, index) => {
      const row = make("div", "row");
      row.append(card(each, "Query", null, "query", `${index} 0`));
      each.hits.forEach((one, place) => row.append(card(one, "Retrieved image", firstOf(one), "retrieved", `${index} ${place}`)));
      at("overview").append(row);
    });
    at("overview").addEventListener("click", (event) => {
      const chosen = event.target.closest(".card");
      if (chosen) jump(...chosen.dataset.place.split(" ").map(Number));
    });
    addEventListener("beforeprint", () => [...paints.keys()].forEach(paint));
  }

  function jump(queryPlace, hitPlace, method) {
    [state.query, state.hit, state.method] = [queryPlace, hitPlace, method || state.method];
    show();
    at("viewer").scrollIntoView();
    at("viewer-title").focus({ preventScroll: true });
  }

  function places() {
    const found = new Map();
    page.queries.forEach((each, index) => each.hits.forEach((one, place) => one.methods.forEach((method) => {
      for (const record of method.records) found.set(record, [index, place, method.name]);
    })));
    return found;
  }

  function sort(header) {
    const table = header.closest("table");
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    const valueOf = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
    };
    const rows = [...body.rows].map((row) => [valueOf(row), row]);
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    rows.sort(([a], [b]) => (a === "") - (b === "") || (down ? compare(b, a) : compare(a, b)));
    for (const each of header.parentElement.cells) if (each.hasAttribute("aria-sort")) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  }

  function startViewer() {
    const ids = { "query-back": "queryBack", "query-on": "queryOn", "hit-back": "hitBack", "hit-on": "hitOn", bare: "bare", swap: "swap", one: "one" };
    for (const [id, move] of Object.entries(ids)) at(id).addEventListener("click", () => go(move));
    at("method").addEventListener("change", () => {
      state.method = at("method").value;
      show();
    });
    at("opacity").addEventListener("input", () => {
      state.alpha = Number(at("opacity").value) / 100;
      at("percent").textContent = `${at("opacity").value} %`;
      for (const map of document.querySelectorAll("img.map, .bar .colors")) map.style.opacity = state.alpha;
    });
    document.addEventListener("keydown", onKey);
    for (const id of ["pair", "matches"]) {
      for (const name of ["pointerover", "pointerout", "focusin", "focusout"]) at(id).addEventListener(name, (event) => (name.endsWith("out") ? light(kept) : over(event)));
      at(id).addEventListener("click", (event) => {
        const match = event.target.closest("[data-match]");
        if (match) keep(Number(match.dataset.match));
      });
    }
    const found = places();
    for (const button of document.querySelectorAll(".go")) {
      button.addEventListener("click", () => jump(...found.get(Number(button.dataset.record))));
    }
    buildOverview();
    show();
  }

  // A table that is wider than paper prints its rows as blocks, in which each value has its name.
  function widen(table) {
    const names = [...table.tHead.rows[0].cells].map((each) => each.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const letters = names.map((name, column) => {
      const words = name.split(/(?<=[_.])/);
      const values = rows.slice(0, 200).map((row) => row.cells[column].textContent.length);
      return 2 + Math.max(...words.map((word) => word.length), ...values.map((count) => Math.min(count, rows[0].cells[column].matches(".number") ? count : 16)));
    });
    if (letters.reduce((sum, count) => sum + count, 0) < PAPER) return;
    table.classList.add("wide");
    for (const row of rows) [...row.cells].forEach((cell, column) => { cell.dataset.name = names[column]; });
  }

  addEventListener("beforeprint", () => document.querySelectorAll("table.records").forEach(widen));
  for (const figure of document.querySelectorAll("[data-picture]")) {
    const picture = make("img");
    picture.alt = figure.dataset.alt;
    picture.src = page.pictures[Number(figure.dataset.picture)];
    figure.prepend(picture);
  }
  for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sort(button.closest("th")));
  if (page.queries.length) startViewer();
  document.documentElement.dataset.ready = "yes";
})();
