// The plane: which part of it is seen, and what is drawn there. It knows no buttons and no keys.

function makeMap(page, lower, upper, onChange) {
  const xs = numbersOf(page.x, Float32Array);
  const ys = numbersOf(page.y, Float32Array);
  const box = xs.reduce((found, x, n) => ({ left: Math.min(found.left, x), right: Math.max(found.right, x), bottom: Math.min(found.bottom, ys[n]), top: Math.max(found.top, ys[n]) }), { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity });
  const grid = makeGrid(xs, ys, box);
  const order = shuffled(xs.length);
  const stars = new Map();
  for (const [row, name] of page.stars) stars.set(row, [...(stars.get(row) ?? []), name]);
  const groups = new Map(page.duplicates);
  const outliers = new Set(page.outliers);
  const [ringed, copies] = [[...outliers], [...groups.keys()]];
  const view = { x: (box.left + box.right) / 2, y: (box.bottom + box.top) / 2, scale: 1, fit: 1 };
  const state = { colors: null, starColors: [], theme: null, selected: new Set(), shown: null, near: [], lasso: [], marks: true, pictures: false };
  const tiles = makeTiles(page.tiles, () => {
    redraw();
    onChange();
  });
  let [width, height, ratio] = [1, 1, 1];
  let pixels = null;
  let image = null;
  let waiting = 0;
  let whole = false; // whether the points are drawn too, or just what is over them

  function fit() {
    view.fit = Math.min((width - 60 * ratio) / (box.right - box.left || 1e-9), (height - 60 * ratio) / (box.top - box.bottom || 1e-9));
    view.fit = Math.min(Math.max(view.fit, 1e-9), 1e9);
    [view.x, view.y, view.scale] = [(box.left + box.right) / 2, (box.bottom + box.top) / 2, view.fit];
    redraw();
  }

  function resize() {
    const frame = upper.getBoundingClientRect();
    const before = view.scale / view.fit;
    ratio = Math.min(window.devicePixelRatio || 1, xs.length > 50000 ? 1 : 2);
    [width, height] = [Math.max(1, Math.round(frame.width * ratio)), Math.max(1, Math.round(frame.height * ratio))];
    for (const canvas of [lower, upper]) [canvas.width, canvas.height] = [width, height];
    image = lower.getContext("2d").createImageData(width, height);
    pixels = new Uint32Array(image.data.buffer);
    const place = [view.x, view.y];
    fit();
    if (before !== 1) [view.x, view.y, view.scale] = [...place, view.fit * before];
  }

  const toX = (x) => (x - view.x) * view.scale + width / 2;
  const toY = (y) => height / 2 - (y - view.y) * view.scale;
  const zoom = () => view.scale / view.fit;
  const radius = () => {
    const [, base] = [[1000, 4.5], [5000, 3.4], [20000, 2.4], [100000, 1.7], [Infinity, 1.1]].find(([most]) => xs.length <= most);
    const room = Math.min(1, Math.max(0.6, Math.sqrt((width * height) / (ratio * ratio * 500000))));
    return Math.min(9, base * room * Math.min(4, Math.max(0.8, Math.sqrt(zoom())))) * ratio;
  };

  function redraw(points = true) {
    whole = whole || points;
    if (!waiting) waiting = requestAnimationFrame(paint);
  }

  function paint() {
    const start = performance.now();
    waiting = 0;
    if (!state.theme) return;
    if (whole) paintPoints();
    whole = false;
    const pen = upper.getContext("2d");
    pen.clearRect(0, 0, width, height);
    paintOver(pen);
    document.documentElement.dataset.frame = (performance.now() - start).toFixed(1);
  }

  // For paper, at once, by strokes of a pen and on one canvas: a browser draws a canvas again over the
  // page that it prints, but for pixels that were put there, and what is cleared in one clears what
  // lies below it. Of each part of the points those of a colour are drawn together.
  function paintPaper() {
    cancelAnimationFrame(waiting);
    waiting = 0;
    lower.width = width; // empty
    const pen = lower.getContext("2d");
    const size = radius();
    const shapes = (rows, add) => {
      const path = new Path2D();
      for (const row of rows) if (isSeen(row)) add(path, toX(xs[row]), toY(ys[row]));
      return path;
    };
    const disc = (path, x, y) => {
      path.moveTo(x + size, y);
      path.arc(x, y, size, 0, 7);
    };
    const part = Math.ceil(order.length / 20);
    const own = state.selected.size ? state.faded : state.colors;
    const parts = Array.from({ length: 20 }, (_, n) => [order.subarray(n * part, (n + 1) * part), own]);
    for (const [rows, colors] of [...parts, [[...state.selected], state.colors]]) {
      const alike = new Map();
      for (const row of rows) {
        if (!alike.has(colors[row])) alike.set(colors[row], []);
        alike.get(colors[row]).push(row);
      }
      for (const [color, those] of alike) {
        pen.fillStyle = css(color);
        pen.fill(shapes(those, disc));
      }
    }
    if (state.marks) {
      const reach = size + 3.5 * ratio;
      edged(pen, shapes(copies, (path, x, y) => path.rect(x - reach, y - reach, 2 * reach, 2 * reach)), ratio, state.theme);
      edged(pen, shapes(ringed, (path, x, y) => {
        path.moveTo(x + reach, y);
        path.arc(x, y, reach, 0, 7);
      }), ratio, state.theme);
    }
    paintOver(pen);
  }

  function paintPoints() {
    const { theme, colors, faded, selected } = state;
    const seen = { xs, ys, scale: view.scale, left: width / 2 - view.x * view.scale, top: height / 2 + view.y * view.scale };
    const stamp = (shape, points, own, one) => stampAll(pixels, width, height, shape, points, seen, own, one);
    pixels.fill(theme.paper);
    const disc = makeDisc(radius(), width, xs.length > 20000 && radius() < 3);
    stamp(disc, order, selected.size ? faded : colors, 0);
    if (selected.size) stamp(disc, Uint32Array.from(selected), colors, 0);
    if (state.marks) {
      const size = radius() + (xs.length > 20000 ? 2.4 : 3.5) * ratio;
      const edges = [[3.4 * ratio, theme.paper], [1.6 * ratio, theme.packedInk]];
      const squares = edges.map(([line, color]) => [makeSquare(Math.round(size), line, width), color]);
      const rings = edges.map(([line, color]) => [makeRing(size, line, width), color]);
      const each = (rows, shapes) => rows.forEach((row) => shapes.forEach(([shape, color]) => stamp(shape, [row], colors, color)));
      each(copies, squares);
      each(ringed, rings);
    }
    lower.getContext("2d").putImageData(image, 0, 0);
  }

  const isSeen = (row) => state.colors[row] !== 0 && toX(xs[row]) > -20 && toX(xs[row]) < width + 20 && toY(ys[row]) > -20 && toY(ys[row]) < height + 20;

  function paintOver(pen) {
    if (state.pictures) paintPictures(pen);
    if (state.marks) paintLabels(pen, labels(), state.theme, ratio);
    if (state.shown !== null) paintShown(pen);
    paintLasso(pen);
  }

  function paintPictures(pen) {
    const size = 56 * ratio;
    const taken = new Set();
    inView((row) => {
      if (!tiles.has(row)) return;
      // cells of the plane, not of the screen: what is moved keeps its pictures
      const [column, line] = [Math.floor((xs[row] * view.scale) / size), Math.floor((ys[row] * view.scale) / size)];
      const cell = `${column} ${line}`;
      if (taken.has(cell)) return;
      taken.add(cell);
      const [left, top] = [toX(((column + 0.06) * size) / view.scale), toY(((line + 0.94) * size) / view.scale)];
      tiles.draw(pen, row, left, top, size * 0.88);
      pen.strokeStyle = css(state.colors[row]);
      pen.lineWidth = 2 * ratio;
      pen.strokeRect(left, top, size * 0.88, size * 0.88);
    });
  }

  // The labels whose star is not hidden, where they are on the screen.
  function labels() {
    return page.stars
      .map(([row, name, x, y], n) => ({ row, name, color: state.starColors[n], star: [toX(xs[row]), toY(ys[row])], cross: [toX(x), toY(y)] }))
      .filter(({ row }) => state.colors[row] !== 0);
  }

  function paintShown(pen) {
    const lines = new Path2D();
    for (const row of state.near) {
      if (state.colors[row] === 0) continue;
      lines.moveTo(toX(xs[state.shown]), toY(ys[state.shown]));
      lines.lineTo(toX(xs[row]), toY(ys[row]));
    }
    edged(pen, lines, 0.7 * ratio, state.theme);
    const ring = new Path2D();
    ring.arc(toX(xs[state.shown]), toY(ys[state.shown]), radius() + 2 * ratio, 0, 7);
    pen.fillStyle = css(state.colors[state.shown] || state.theme.paper);
    pen.fill(ring);
    edged(pen, ring, 1.5 * ratio, state.theme);
  }

  function paintLasso(pen) {
    if (state.lasso.length < 4) return;
    const path = new Path2D();
    for (let n = 0; n < state.lasso.length; n += 2) path.lineTo(state.lasso[n], state.lasso[n + 1]);
    path.closePath();
    pen.fillStyle = state.theme.ink;
    pen.globalAlpha = 0.1;
    pen.fill(path);
    pen.globalAlpha = 1;
    edged(pen, path, ratio, state.theme);
  }

  const css = (color) => `#${[color & 255, (color >> 8) & 255, (color >> 16) & 255].map((part) => part.toString(16).padStart(2, "0")).join("")}`;

  // Calls `meet` with each image that is seen.
  function inView(meet) {
    const [w, h] = [width / 2 / view.scale, height / 2 / view.scale];
    grid.within(view.x - w, view.x + w, view.y - h, view.y + h, (row) => {
      const [x, y] = [toX(xs[row]), toY(ys[row])];
      if (state.colors[row] !== 0 && x >= 0 && y >= 0 && x <= width && y <= height) meet(row);
    });
  }

  // The nearest image to a place on the screen; null where none is near.
  function at(x, y) {
    const reach = (Math.max(radius() / ratio, 4) + 6) * ratio;
    const [cx, cy] = [view.x + (x * ratio - width / 2) / view.scale, view.y - (y * ratio - height / 2) / view.scale];
    let [best, row] = [reach, null];
    grid.within(cx - reach / view.scale, cx + reach / view.scale, cy - reach / view.scale, cy + reach / view.scale, (each) => {
      const far = Math.hypot(xs[each] - cx, ys[each] - cy) * view.scale;
      if (far < best && state.colors[each] !== 0) [best, row] = [far, each];
    });
    return row;
  }

  function move(dx, dy) {
    view.x -= (dx * ratio) / view.scale;
    view.y += (dy * ratio) / view.scale;
    redraw();
  }

  // Closer by a factor, around a place on the screen, or around the middle.
  function closer(factor, x = width / ratio / 2, y = height / ratio / 2) {
    const scale = Math.min(view.fit * 5000, Math.max(view.fit * 0.4, view.scale * factor));
    const [dx, dy] = [x * ratio - width / 2, y * ratio - height / 2];
    view.x += dx / view.scale - dx / scale;
    view.y -= dy / view.scale - dy / scale;
    view.scale = scale;
    redraw();
  }

  // Brings an image into view.
  function goTo(row) {
    const [x, y] = [toX(xs[row]), toY(ys[row])];
    const edge = 12 * ratio;
    if (x < edge || y < edge || x > width - edge || y > height - edge) [view.x, view.y] = [xs[row], ys[row]];
    redraw();
  }

  // The images inside what the lasso went around.
  function lassoed() {
    const corners = state.lasso;
    const found = [];
    if (corners.length >= 6) {
      inView((row) => {
        if (inPolygon(corners, toX(xs[row]), toY(ys[row]))) found.push(row);
      });
    }
    return found;
  }

  function drawLasso(x, y) {
    const [px, py] = [x * ratio, y * ratio];
    const n = state.lasso.length;
    if (n && Math.hypot(state.lasso[n - 2] - px, state.lasso[n - 1] - py) < 3 * ratio) return;
    state.lasso.push(px, py);
    redraw(false);
  }

  return { state, tiles, fit, resize, redraw, paintPaper, at, move, closer, goTo, inView, lassoed, drawLasso, zoom, place: (row) => [toX(xs[row]) / ratio, toY(ys[row]) / ratio], stars, groups, outliers };
}
