// The colours of the points by one column or another, and the legend that hides and shows them.
function makeColors(page, map) {
  const columns = page.colorings.map((each) => ({
    ...each,
    codes: numbersOf(each.codes, Int32Array),
    numbers: each.numbers ? numbersOf(each.numbers, Float64Array) : null,
    positions: each.numbers ? numbersOf(each.positions, Uint8Array) : null,
    hidden: new Set(),
  }));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let coloring = columns[0] || null;
  let printing = false;

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
    if (each.dates) return new Date(each.numbers[row]).toISOString().replace(/T00:00:00\.000Z$|(\.000)?Z$/, "").replace("T", " ");
    if (each.numbers) return String(Number(each.numbers[row].toPrecision(7)));
    return each.codes[row] < 0 ? "" : safe(each.values[each.codes[row]][0]);
  }

  function paint() {
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
    if (coloring.numbers) showScale(palette);
    else {
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
      const words = make("span", "text", inShort(text));
      words.title = text;
      button.append(dot, words, make("span", "number", spaced(count)));
      at("legend").append(button);
    }
  }

  function showScale(palette) {
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
  }

  function hideOrShow(kind) {
    if (!coloring.hidden.delete(kind)) coloring.hidden.add(kind);
    paint();
    at("legend").querySelector(`[data-kind="${kind}"]`).focus();
  }

  // Colours by the column in this place.
  function choose(place) {
    coloring = columns[place];
    paint();
  }

  function start() {
    at("legend").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) hideOrShow(Number(button.dataset.kind));
    });
    at("column").replaceChildren(...columns.map((each) => make("option", "", safe(each.column))));
    at("column").parentElement.hidden = columns.length < 2;
    dark.addEventListener("change", paint);
    for (const [name, on] of [["beforeprint", true], ["afterprint", false]]) {
      addEventListener(name, () => {
        printing = on;
        paint();
        if (on) map.paintPaper();
      });
    }
    paint();
  }

  return {
    start,
    choose,
    column: () => (coloring ? safe(coloring.column) : ""),
    // What the column of the colours says of an image, and what each column says.
    valueOf: (row) => (coloring ? valueOf(coloring, row) : ""),
    factsOf: (row) => columns.map((each) => [each.column, valueOf(each, row)]).filter(([, text]) => text),
  };
}
