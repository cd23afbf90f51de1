// The images that are selected: their list, and their ids for the clipboard and a file.
function makeSelection(page, map, colors, shown) {
  const LISTED = 100;
  let listed = LISTED;

  const chosen = () => [...map.state.selected].sort((a, b) => a - b);
  const lines = () => chosen().map((row) => `${page.ids[row]}\n`).join("");

  function select(rows, grows = false) {
    map.state.selected = new Set(grows ? [...map.state.selected, ...rows] : rows);
    listed = LISTED;
    map.redraw();
    list();
  }

  function list() {
    const rows = chosen();
    for (const id of ["copy", "save", "clear"]) at(id).disabled = !rows.length;
    const words = rows.length ? `${counted(rows.length)} selected.` : "Nothing is selected. Draw around images with the lasso, or hold Shift and draw.";
    at("selected").textContent = words;
    at("chosen").hidden = !rows.length;
    at("chosen-column").textContent = colors.column();
    at("chosen").tBodies[0].replaceChildren(...rows.slice(0, listed).map((row) => {
      const line = make("tr");
      const button = make("button", "", safe(page.ids[row]));
      button.type = "button";
      button.dataset.row = row;
      const name = make("td", "long");
      name.append(button);
      line.append(name, make("td", "", colors.valueOf(row)), make("td", "number", shown.apart(row)));
      return line;
    }));
    at("more").hidden = rows.length <= listed;
    at("more").textContent = `${Math.min(LISTED, rows.length - listed)} more of ${rows.length - listed}`;
  }

  function more() {
    listed += LISTED;
    list();
  }

  function toggle(row) {
    const rows = new Set(map.state.selected);
    if (!rows.delete(row)) rows.add(row);
    select(rows);
    say(`${short(page.ids[row])} is ${rows.has(row) ? "selected" : "not selected"}; ${counted(rows.size)} in all.`);
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

  // What the lasso went around is copied at once.
  function take(rows, grows) {
    select(rows, grows);
    if (map.state.selected.size) copy();
    else say("No image is inside.");
  }

  function selectView() {
    const rows = [];
    map.inView((row) => rows.push(row));
    select(rows);
    say(`${counted(rows.length)} in view selected.`);
  }

  function find(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return select([]);
    const rows = [];
    page.ids.forEach((id, row) => {
      if (id.toLowerCase().includes(wanted)) rows.push(row);
    });
    select(rows);
    say(`${counted(rows.length)} found.`);
    if (rows.length) shown.pin(rows[0]);
    return undefined;
  }

  return { select, list, more, toggle, take, selectView, find, copy, save };
}
