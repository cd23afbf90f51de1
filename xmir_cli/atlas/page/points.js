"use strict";
// Many points in a plane: drawn into an array of pixels, found by a grid of cells. No page is needed
// for any of it.

// Points in the order of a grid, so that those near a place are found without looking at all.
function makeGrid(xs, ys, box) {
  const side = Math.max(1, Math.ceil(Math.sqrt(xs.length / 4)));
  const width = (box.right - box.left || 1) / side;
  const height = (box.top - box.bottom || 1) / side;
  const clamp = (cell) => Math.min(side - 1, Math.max(0, cell));
  const column = (x) => clamp(Math.floor((x - box.left) / width));
  const row = (y) => clamp(Math.floor((y - box.bottom) / height));
  const starts = new Uint32Array(side * side + 1);
  for (let each = 0; each < xs.length; each += 1) starts[row(ys[each]) * side + column(xs[each]) + 1] += 1;
  for (let cell = 0; cell < side * side; cell += 1) starts[cell + 1] += starts[cell];
  const places = starts.slice();
  const points = new Uint32Array(xs.length);
  for (let each = 0; each < xs.length; each += 1) points[places[row(ys[each]) * side + column(xs[each])]++] = each;

  // Calls `meet` with each point of the cells that a box touches.
  function within(left, right, bottom, top, meet) {
    for (let down = row(bottom); down <= row(top); down += 1) {
      const first = starts[down * side + column(left)];
      const last = starts[down * side + column(right) + 1];
      for (let each = first; each < last; each += 1) meet(points[each]);
    }
  }
  return { within };
}

// What a shape covers as offsets in an image of some width: whole pixels, and those at its edge with
// their share of 256. `coverOf` tells the share of 1 of a pixel by its place from the middle. A crisp
// one has no edge: it costs a third.
function makeStamp(reach, width, coverOf, crisp = false) {
  const whole = [];
  const edge = [];
  for (let y = -reach; y <= reach; y += 1) {
    for (let x = -reach; x <= reach; x += 1) {
      const share = Math.min(1, coverOf(x, y));
      if (share >= (crisp ? 0.5 : 0.95)) whole.push(y * width + x);
      else if (share > 0.05 && !crisp) edge.push([y * width + x, Math.round(256 * share)]);
    }
  }
  return { reach, whole: Int32Array.from(whole), edge: Int32Array.from(edge.map((each) => each[0])), shares: Int32Array.from(edge.map((each) => each[1])) };
}

const makeDisc = (radius, width, crisp) => makeStamp(Math.ceil(radius + 0.5), width, (x, y) => radius + 0.5 - Math.hypot(x, y), crisp);
const makeRing = (radius, line, width) => makeStamp(Math.ceil(radius + line), width, (x, y) => line / 2 + 0.5 - Math.abs(Math.hypot(x, y) - radius));
const makeSquare = (radius, line, width) => makeStamp(Math.ceil(radius + line), width, (x, y) => line / 2 + 0.5 - Math.abs(Math.max(Math.abs(x), Math.abs(y)) - radius));

// Stamps one point after the other, each in its colour, or all in one; one without a colour (0) is
// hidden, and what would reach over the edge is left out. `seen` is { xs, ys, scale, left, top }.
function stampAll(pixels, width, height, stamp, points, seen, colors, one) {
  const { reach, whole, edge, shares } = stamp;
  const { xs, ys, scale, left, top } = seen;
  const [right, bottom] = [width - reach - 1, height - reach - 1];
  for (let n = 0; n < points.length; n += 1) {
    const point = points[n];
    const own = colors[point];
    if (own === 0) continue;
    const x = (xs[point] * scale + left + 0.5) | 0;
    const y = (top - ys[point] * scale + 0.5) | 0;
    if (x < reach || y < reach || x > right || y > bottom) continue;
    const color = one || own;
    const odd = color & 0xff00ff;
    const even = color & 0x00ff00;
    const at = y * width + x;
    for (let each = 0; each < whole.length; each += 1) pixels[at + whole[each]] = color;
    for (let each = 0; each < edge.length; each += 1) {
      const place = at + edge[each];
      const below = pixels[place];
      const share = shares[each];
      pixels[place] = 0xff000000 | ((((below & 0xff00ff) * (256 - share) + odd * share) >>> 8) & 0xff00ff) | ((((below & 0x00ff00) * (256 - share) + even * share) >>> 8) & 0x00ff00);
    }
  }
}

// Two opaque colours (0xaabbggrr), the second with a share of 0 to 256.
function mix(below, above, share) {
  const odd = ((below & 0xff00ff) * (256 - share) + (above & 0xff00ff) * share) >>> 8;
  const even = ((below & 0x00ff00) * (256 - share) + (above & 0x00ff00) * share) >>> 8;
  return (0xff000000 | (odd & 0xff00ff) | (even & 0x00ff00)) >>> 0;
}

// The same order for every page: no value is always on top of the others.
function shuffled(count) {
  const order = new Uint32Array(count);
  let state = 12345;
  for (let each = 0; each < count; each += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 4294967296) * (each + 1));
    order[each] = order[other];
    order[other] = each;
  }
  return order;
}

// Whether a place lies in a polygon of x and y in turn.
function inPolygon(corners, x, y) {
  let inside = false;
  for (let n = 0, last = corners.length - 2; n < corners.length; last = n, n += 2) {
    const [ax, ay, bx, by] = [corners[n], corners[n + 1], corners[last], corners[last + 1]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
