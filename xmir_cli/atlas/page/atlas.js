// The page: what is pressed, pointed at and chosen. Text is only ever set as text.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const near = numbersOf(page.near, Int32Array);
  const similar = numbersOf(page.similar, Int16Array);
  const unlike = numbersOf(page.unlike, Int16Array);
  const colorings = page.colorings.map((each) => ({
    ...each,
    codes: numbersOf(each.codes, Int32Array),
    numbers: each.numbers ? numbersOf(each.numbers, Float64Array) : null,
    positions: each.numbers ? numbersOf(each.positions, Uint8Array) : null,
    hidden: new Set(),
  }));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const marked = [...new Set([...page.stars.map(([row]) => row), ...page.outliers, ...[...page.duplicates].sort((a, b) => a[1] - b[1]).map(([row]) => row)])];
  const over = at("over");
  const map = makeMap(page, at("points"), over, () => show(map.state.shown, true));
  const LISTED = 100;
  let coloring = colorings[0] || null;
  let printing = false;
  let pinned = null;
  let listed = LISTED;
  let lassoing = false;

  const short = (id) => safe(id.slice(id.lastIndexOf("/", id.length - 2) + 1));
  const counted = (count) => (count === 1 ? "1 image" : `${count.toLocaleString("en").replaceAll(",", " ")} images`);

  function make(tag, classes, text) {
    const made = document.createElement(tag);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const say = (text) => { at("status").textContent = text; };

  // --- colours

  const packed = (color) => {
    const [red, green, blue] = [1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  };

  // Rare values and missing ones have the two places after those with colours of their own.
  const kindOf = (each, row) => {
    const code = each.codes[row];
    return code < 0 ? page.most + 1 : Math.min(code, page.most);
  };

  function valueOf(each, row) {
    if (each.numbers && Number.isNaN(each.numbers[row])) return "";
    if (each.dates) return new Date(each.numbers[row]).toISOString().replace(/T00:00:00.000Z$/, "").replace("T", " ");
    if (each.numbers) return String(Number(each.numbers[row].toPrecision(7)));
    return each.codes[row] < 0 ? "" : safe(each.values[each.codes[row]][0]);
  }

  function paintAll() {
    const isDark = dark.matches && !printing;
    const palette = page.palette[isDark ? "dark" : "light"];
    const ground = isDark ? "#15171a" : "#ffffff";
    const theme = { ground, paper: packed(ground), ink: isDark ? "#f2f2f2" : "#1b1d21", packedInk: packed(isDark ? "#f2f2f2" : "#1b1d21") };
    const kinds = [...palette.values, ...palette.greys].map(packed);
    const scale = palette.scale.map(packed);
    const colors = new Uint32Array(page.count).fill(kinds[0]);
    if (coloring) {
      for (let row = 0; row < page.count; row += 1) {
        const kind = kindOf(coloring, row);
        if (coloring.hidden.has(kind)) colors[row] = 0;
        else colors[row] = coloring.numbers && kind === 0 ? scale[coloring.positions[row]] : kinds[kind];
      }
    }
    const faded = colors.map((color) => (color ? mix(theme.paper, color, 64) : 0));
    const own = new Map(coloring && coloring.column === "label" ? coloring.values.map(([text], code) => [text, code]) : []);
    const starColors = page.stars.map(([, label]) => (own.size ? [...palette.values, palette.greys[0]][Math.min(own.get(label) ?? page.most, page.most)] : ground));
    Object.assign(map.state, { theme, colors, faded, starColors });
    map.redraw();
    showLegend(palette);
  }

  function showLegend(palette) {
    at("legend").replaceChildren();
    if (!coloring) return;
    const entries = [];
    if (coloring.numbers) {
      const bar = make("canvas");
      [bar.width, bar.height] = [palette.scale.length, 1];
      const pen = bar.getContext("2d");
      palette.scale.forEach((color, x) => {
        pen.fillStyle = color;
        pen.fillRect(x, 0, 1, 1);
      });
      bar.setAttribute("role", "img");
      bar.setAttribute("aria-label", `${coloring.column} from ${coloring.ends[0]} to ${coloring.ends[1]}`);
      const ends = make("p", "ends");
      ends.append(...coloring.ends.map((end) => make("span", "", end)));
      at("legend").append(bar, ends);
    } else {
      coloring.values.slice(0, page.most).forEach(([text, count], kind) => entries.push([kind, safe(text), count]));
      const rare = coloring.values.slice(page.most);
      if (rare.length) entries.push([page.most, `${rare.length} others`, rare.reduce((sum, [, count]) => sum + count, 0)]);
    }
    if (coloring.missing) entries.push([page.most + 1, "without one", coloring.missing]);
    for (const [kind, text, count] of entries) {
      const button = make("button");
      button.type = "button";
      button.dataset.kind = kind;
      button.setAttribute("aria-pressed", String(!coloring.hidden.has(kind)));
      const dot = make("span", "dot");
      dot.style.background = [...palette.values, ...palette.greys][kind];
      const words = make("span", "text", text);
      words.title = text;
      button.append(dot, words, make("span", "number", String(count)));
      at("legend").append(button);
    }
  }

  // --- the image that is shown

  function pictureOf(row, side) {
    if (!map.tiles.has(row)) return make("span", "none", side > 100 ? "No picture of this image is in the page" : "");
    const canvas = make("canvas");
    [canvas.width, canvas.height] = [map.tiles.side, map.tiles.side];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Picture of ${short(page.ids[row])}`);
    map.tiles.draw(canvas.getContext("2d"), row, 0, 0, map.tiles.side);
    return canvas;
  }

  function neighboursOf(row) {
    const found = [];
    for (let place = row * page.neighbours; place < (row + 1) * page.neighbours; place += 1) {
      if (near[place] >= 0) found.push([near[place], similar[place] / page.whole]);
    }
    return found;
  }

  function factsOf(row) {
    const facts = colorings.map((each) => [each.column, valueOf(each, row)]).filter(([, text]) => text);
    if (unlike[row] >= 0) facts.push(["further apart than", `${(unlike[row] / 100).toFixed(1)} % of all${map.outliers.has(row) ? " ○" : ""}`]);
    if (map.groups.has(row)) facts.push(["is there more than once", `group ${map.groups.get(row)} □`]);
    if (map.stars.has(row)) facts.push(["nearest to the mean of", `${safe(map.stars.get(row))} ★`]);
    return facts;
  }

  function show(row, again) {
    if (row === map.state.shown && !again) return;
    map.state.shown = row;
    map.state.near = row === null ? [] : neighboursOf(row).map(([each]) => each);
    map.redraw(false);
    at("image").hidden = row === null;
    if (row === null) return;
    at("shown").replaceChildren(pictureOf(row, 192));
    at("name").textContent = safe(page.ids[row]);
    at("facts").replaceChildren(...factsOf(row).map(([name, text]) => {
      const line = make("div");
      line.append(make("dt", "", safe(name)), make("dd", "", text));
      return line;
    }));
    at("neighbours").replaceChildren(...neighboursOf(row).map(([each, similarity]) => {
      const button = make("button");
      button.type = "button";
      button.dataset.row = each;
      button.title = safe(page.ids[each]);
      const told = colorings.length ? valueOf(coloring, each) : "";
      button.append(pictureOf(each, 80), make("span", "", similarity.toFixed(3)), make("span", "name", told || short(page.ids[each])));
      button.setAttribute("aria-label", `${short(page.ids[each])}, ${told ? `${told}, ` : ""}similarity ${similarity.toFixed(3)}`);
      return button;
    }));
  }

  function pin(row) {
    pinned = row;
    show(row);
    if (row === null) return;
    map.goTo(row);
    const facts = factsOf(row).map(([name, text]) => `${name} ${text}`);
    say([short(page.ids[row]), ...facts].join(", "));
  }

  function step(by) {
    if (!marked.length) return say("No image is marked.");
    const place = marked.indexOf(pinned);
    return pin(marked[place < 0 ? (by > 0 ? 0 : marked.length - 1) : (place + by + marked.length) % marked.length]);
  }

  // --- the selection

  const chosen = () => [...map.state.selected].sort((a, b) => a - b);
  const lines = () => chosen().map((row) => `${page.ids[row]}\n`).join("");

  function select(rows, grows) {
    map.state.selected = new Set(grows ? [...map.state.selected, ...rows] : rows);
    listed = LISTED;
    map.redraw();
    showSelection();
  }

  function showSelection() {
    const rows = chosen();
    for (const id of ["copy", "save", "clear"]) at(id).disabled = !rows.length;
    const words = rows.length ? `${counted(rows.length)} selected.` : "Nothing is selected. Draw around images with the lasso, or hold Shift and draw.";
    at("selected").textContent = words;
    at("chosen").hidden = !rows.length;
    at("chosen-column").textContent = coloring ? safe(coloring.column) : "";
    at("chosen").tBodies[0].replaceChildren(...rows.slice(0, listed).map((row) => {
      const line = make("tr");
      const button = make("button", "", safe(page.ids[row]));
      button.type = "button";
      button.dataset.row = row;
      const name = make("td", "long");
      name.append(button);
      line.append(name, make("td", "", coloring ? valueOf(coloring, row) : ""), make("td", "number", unlike[row] < 0 ? "" : `${(unlike[row] / 100).toFixed(1)} %`));
      return line;
    }));
    at("more").hidden = rows.length <= listed;
    at("more").textContent = `${Math.min(LISTED, rows.length - listed)} more of ${rows.length - listed}`;
  }

  function copyIn(text) {
    const field = make("textarea", "unseen");
    field.value = text;
    document.body.append(field);
    const focus = document.activeElement;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (focus) focus.focus({ preventScroll: true });
    return done;
  }

  async function copy() {
    const count = map.state.selected.size;
    if (!count) return;
    let done = true;
    try {
      await navigator.clipboard.writeText(lines());
    } catch {
      done = copyIn(lines());
    }
    say(done ? `${counted(count)} selected, their ids are in the clipboard.` : `${counted(count)} selected; the browser keeps its clipboard closed: save the ids instead.`);
  }

  function save() {
    if (!map.state.selected.size) return;
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([lines()], { type: "text/plain" }));
    link.download = "atlas-ids.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`The ids of ${counted(map.state.selected.size)} are saved as atlas-ids.txt.`);
  }

  function selectView() {
    const rows = [];
    map.inView((row) => rows.push(row));
    select(rows, false);
    say(`${counted(rows.length)} in view selected.`);
  }

  function find(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return select([], false);
    const rows = [];
    page.ids.forEach((id, row) => {
      if (id.toLowerCase().includes(wanted)) rows.push(row);
    });
    select(rows, false);
    say(`${counted(rows.length)} found.`);
    if (rows.length) pin(rows[0]);
    return undefined;
  }

  // --- pointer and keys

  const placeOf = (event) => {
    const frame = over.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  const pointers = new Map();
  let drag = null; // what a pressed pointer does

  function onDown(event) {
    if (event.button) return;
    over.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(event));
    const draws = (lassoing || event.shiftKey) && pointers.size === 1;
    drag = { draws, grows: event.shiftKey, moved: 0 };
    map.state.lasso = [];
    if (draws) map.drawLasso(...placeOf(event));
    over.classList.toggle("moving", !draws);
  }

  function onMove(event) {
    const [x, y] = placeOf(event);
    if (!pointers.has(event.pointerId)) {
      const row = map.at(x, y);
      if (pinned === null && row !== null) show(row); // else the last one stays
      return;
    }
    const before = pointers.get(event.pointerId);
    pointers.set(event.pointerId, [x, y]);
    drag.moved += Math.hypot(x - before[0], y - before[1]);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const [was, is] = [before, [x, y]].map((place) => Math.hypot(place[0] - other[0], place[1] - other[1]));
      map.closer(is / (was || 1), (x + other[0]) / 2, (y + other[1]) / 2);
      drag.moved += 10;
    } else if (drag.draws) map.drawLasso(x, y);
    else map.move(x - before[0], y - before[1]);
  }

  function onUp(event) {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    over.classList.remove("moving");
    if (drag.draws && drag.moved > 6) {
      const rows = map.lassoed();
      select(rows, drag.grows);
      if (map.state.selected.size) copy();
      else say("No image is inside.");
    } else if (drag.moved <= 4 && event.type === "pointerup") {
      pin(map.at(...placeOf(event)));
    }
    map.state.lasso = [];
    map.redraw(false);
  }

  const press = (id, on) => at(id).setAttribute("aria-pressed", String(on));
  const actions = {
    closer: () => map.closer(1.5),
    farther: () => map.closer(1 / 1.5),
    all: () => map.fit(),
    lasso() {
      lassoing = !lassoing;
      press("lasso", lassoing);
      over.classList.toggle("drawing", lassoing);
      say(lassoing ? "Draw around images to select them." : "Drag moves the plane.");
    },
    marks() {
      map.state.marks = !map.state.marks;
      press("marks", map.state.marks);
      map.redraw();
    },
    pictures() {
      map.state.pictures = !map.state.pictures;
      press("pictures", map.state.pictures);
      map.redraw(false);
    },
    "select-seen": selectView,
    copy,
    save,
    clear() {
      select([], false);
      pin(null);
      say("");
    },
    more() {
      listed += LISTED;
      showSelection();
    },
  };
  const keys = { "+": "closer", "=": "closer", "-": "farther", "0": "all", l: "lasso", v: "select-seen", c: "copy", s: "save", r: "marks", t: "pictures", Escape: "clear" };
  const arrows = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

  function toggle(row) {
    const rows = new Set(map.state.selected);
    if (!rows.delete(row)) rows.add(row);
    select(rows, false);
    say(`${short(page.ids[row])} is ${rows.has(row) ? "selected" : "not selected"}; ${counted(rows.size)} in all.`);
  }

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !at("listen").checked) return;
    if (event.target.closest("select, input:not(#listen), .scroll") && !event.target.closest("#chosen button")) return;
    if (event.key in arrows && event.target === over) map.move(...arrows[event.key]);
    else if (event.key === "Enter" && event.target === over && map.state.shown !== null) toggle(map.state.shown);
    else if (event.key === "n" || event.key === "p") step(event.key === "n" ? 1 : -1);
    else if (event.key === "?") {
      at("keys").open = !at("keys").open;
      at("keys").scrollIntoView({ block: "nearest" });
    } else if (Object.hasOwn(keys, event.key)) actions[keys[event.key]]();
    else return;
    event.preventDefault();
  }

  function start() {
    for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", () => act());
    over.addEventListener("pointerdown", onDown);
    over.addEventListener("pointermove", onMove);
    for (const name of ["pointerup", "pointercancel"]) over.addEventListener(name, onUp);
    over.addEventListener("wheel", (event) => {
      event.preventDefault();
      map.closer(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...placeOf(event));
    }, { passive: false });
    over.addEventListener("dblclick", (event) => map.closer(2, ...placeOf(event)));
    document.addEventListener("keydown", onKey);
    at("find").addEventListener("search", () => find(at("find").value));
    at("find").addEventListener("keydown", (event) => { if (event.key === "Enter") find(at("find").value); });
    at("legend").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const kind = Number(button.dataset.kind);
      if (!coloring.hidden.delete(kind)) coloring.hidden.add(kind);
      paintAll();
      at("legend").querySelector(`[data-kind="${kind}"]`).focus();
    });
    for (const id of ["neighbours", "chosen"]) {
      at(id).addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button) pin(Number(button.dataset.row));
      });
    }
    at("column").replaceChildren(...colorings.map((each) => make("option", "", safe(each.column))));
    at("column").parentElement.hidden = colorings.length < 2;
    at("column").addEventListener("change", () => {
      coloring = colorings[at("column").selectedIndex];
      paintAll();
      showSelection();
      show(map.state.shown, true);
    });
    dark.addEventListener("change", paintAll);
    for (const [name, on] of [["beforeprint", true], ["afterprint", false]]) {
      addEventListener(name, () => {
        printing = on;
        paintAll();
        if (on) map.paintPaper();
      });
    }
    new ResizeObserver(() => map.resize()).observe(at("plane"));
    map.resize();
    paintAll();
    say(`${counted(page.count)}. Point at one to see it, a click keeps it; n goes to the next that is marked, ? lists the keys.`);
  }

  start();
  document.documentElement.dataset.ready = "yes";
})();
