// The page: its parts put together, and what buttons and keys do.
(() => {
  const page = JSON.parse(at("data").textContent);
  const over = at("over");
  const map = makeMap(page, at("points"), over, () => shown.again());
  const colors = makeColors(page, map);
  const shown = makeShown(page, map, colors);
  const selection = makeSelection(page, map, colors, shown);
  const pointers = watchPointers(over, map, shown, selection);

  const actions = {
    closer: () => map.closer(1.5),
    farther: () => map.closer(1 / 1.5),
    all: () => map.fit(),
    lasso: pointers.lasso,
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
    "select-seen": selection.selectView,
    copy: selection.copy,
    save: selection.save,
    clear() {
      selection.select([]);
      shown.pin(null);
      say("");
    },
    more: selection.more,
  };
  const keys = { "+": "closer", "=": "closer", "-": "farther", "0": "all", l: "lasso", v: "select-seen", c: "copy", s: "save", r: "marks", t: "pictures", Escape: "clear" };
  const arrows = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !at("listen").checked) return;
    if (event.target.closest("select, input:not(#listen), .scroll") && !event.target.closest("#chosen button")) return;
    if (event.key in arrows && event.target === over) map.move(...arrows[event.key]);
    else if (event.key === "Enter" && event.target === over && map.state.shown !== null) selection.toggle(map.state.shown);
    else if (event.key === "n" || event.key === "p") shown.step(event.key === "n" ? 1 : -1);
    else if (event.key === "?") {
      at("keys").open = !at("keys").open;
      at("keys").scrollIntoView({ block: "nearest" });
    } else if (Object.hasOwn(keys, event.key)) actions[keys[event.key]]();
    else return;
    event.preventDefault();
  }

  for (const [id, act] of Object.entries(actions)) at(id).addEventListener("click", () => act());
  document.addEventListener("keydown", onKey);
  at("find").addEventListener("search", () => selection.find(at("find").value));
  at("find").addEventListener("keydown", (event) => { if (event.key === "Enter") selection.find(at("find").value); });
  for (const id of ["neighbours", "chosen"]) {
    at(id).addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) shown.pin(Number(button.dataset.row));
    });
  }
  at("column").addEventListener("change", () => {
    colors.choose(at("column").selectedIndex);
    selection.list();
    shown.again();
  });
  new ResizeObserver(() => map.resize()).observe(at("plane"));
  map.resize();
  colors.start();
  say(`${counted(page.count)}. Point at one to see it, a click keeps it; n goes to the next that is marked, ? lists the keys.`);
  document.documentElement.dataset.ready = "yes";
})();
