// What a page holds packed: numbers in base64, and small pictures on large ones.

// Numbers that stand in base64, the lowest byte first.
function numbersOf(text, Kind) {
  const bytes = atob(text);
  const array = new Uint8Array(bytes.length);
  for (let each = 0; each < bytes.length; each += 1) array[each] = bytes.charCodeAt(each);
  return new Kind(array.buffer);
}

// Small pictures on large ones, which are decoded when the first of them is drawn.
function makeTiles(tiles, onLoad) {
  const { side, columns, rows, sheets } = tiles;
  const place = new Map(rows.map((row, tile) => [row, tile]));
  const images = new Map();
  function imageOf(sheet) {
    if (!images.has(sheet)) {
      const image = new Image();
      image.addEventListener("load", onLoad);
      image.src = sheets[sheet];
      images.set(sheet, image);
    }
    return images.get(sheet);
  }
  // Draws the picture of a row into a box, once it is decoded; whether there is one.
  function draw(pen, row, x, y, size) {
    if (!place.has(row)) return false;
    const tile = place.get(row);
    const image = imageOf(Math.floor(tile / (columns * columns)));
    const cell = tile % (columns * columns);
    if (image.complete && image.naturalWidth) pen.drawImage(image, (cell % columns) * side, Math.floor(cell / columns) * side, side, side, x, y, size, size);
    return true;
  }
  return { side, draw, has: (row) => place.has(row) };
}
