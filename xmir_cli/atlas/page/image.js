// The image that is pointed at or kept: its picture, what is known of it, and those most similar to it.
function makeShown(page, map, colors) {
  const near = numbersOf(page.near, Int32Array);
  const similar = numbersOf(page.similar, Int16Array);
  const unlike = numbersOf(page.unlike, Int16Array);
  const alike = [...page.duplicates].sort((a, b) => a[1] - b[1]);
  const marked = [...new Set([...page.stars.map(([row]) => row), ...page.outliers, ...alike.map(([row]) => row)])];
  let pinned = null;

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

  // How far apart an image lies, as it is told.
  const apart = (row) => (unlike[row] < 0 ? "" : `${(unlike[row] / 100).toFixed(1)} %`);

  function factsOf(row) {
    const facts = colors.factsOf(row);
    if (apart(row)) facts.push(["further apart than", `${apart(row)} of all${map.outliers.has(row) ? " ○" : ""}`]);
    if (map.groups.has(row)) facts.push(["is there more than once", `group ${map.groups.get(row)} □`]);
    if (map.stars.has(row)) facts.push(["nearest to the mean of", `${map.stars.get(row).map(safe).join(", ")} ★`]);
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
      const told = colors.valueOf(each);
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

  return {
    apart,
    pin,
    step,
    again: () => show(map.state.shown, true),
    // Shows what is pointed at; the last one stays where there is nothing, and one that is kept stays.
    point: (row) => { if (pinned === null && row !== null) show(row); },
  };
}
