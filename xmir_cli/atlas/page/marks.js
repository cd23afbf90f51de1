// What is drawn over the points by strokes of a pen: a star and a cross for each label, with its name.

// What is light around and dark inside, or the other way round, is seen on every colour.
function edged(pen, path, line, theme) {
  for (const [color, wide] of [[theme.ground, 4], [theme.ink, 1.8]]) {
    pen.strokeStyle = color;
    pen.lineWidth = wide * line;
    pen.stroke(path);
  }
}

function starAt(x, y, size) {
  const path = new Path2D();
  for (let n = 0; n < 10; n += 1) {
    const reach = n % 2 ? size * 0.45 : size;
    path.lineTo(x + reach * Math.sin((n * Math.PI) / 5), y - reach * Math.cos((n * Math.PI) / 5));
  }
  path.closePath();
  return path;
}

function crossAt(x, y, size) {
  const path = new Path2D();
  const thick = size * 0.25;
  for (const [across, down] of [[size, thick], [thick, size]]) path.rect(x - across, y - down, 2 * across, 2 * down);
  return path;
}

// Each label is { name, color, star: [x, y], cross: [x, y] }: the image nearest to its mean, and that mean.
function paintLabels(pen, labels, theme, ratio) {
  const [star, cross] = [11 * ratio, 9 * ratio];
  const drawn = [...labels.map((each) => [crossAt(...each.cross, cross), each.color]), ...labels.map((each) => [starAt(...each.star, star), each.color])];
  for (const [path, color] of drawn) {
    edged(pen, path, ratio, theme);
    pen.fillStyle = color;
    pen.fill(path);
  }
  const around = ([x, y], size) => [x - size, y - size, x + size, y + size];
  const taken = [...labels.map((each) => around(each.star, star)), ...labels.map((each) => around(each.cross, cross))];
  nameStars(pen, labels, theme, ratio, star, taken);
}

// The name of each label beside its star, where nothing else stands.
function nameStars(pen, labels, theme, ratio, size, taken) {
  const letters = 13 * ratio;
  pen.font = `${letters}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 4 * ratio;
  pen.strokeStyle = theme.ground;
  pen.fillStyle = theme.ink;
  labels.forEach(({ name, star: [x, y] }, own) => {
    const letter = [...safe(name)];
    const text = letter.length > 28 ? `${letter.slice(0, 27).join("")}…` : letter.join("");
    const wide = pen.measureText(text).width;
    const far = size + 4 * ratio;
    for (const [left, middle] of [[x + far, y], [x - far - wide, y], [x - wide / 2, y - far - letters / 2], [x - wide / 2, y + far + letters / 2]]) {
      const box = [left, middle - letters * 0.6, left + wide, middle + letters * 0.6];
      const free = box[0] >= 0 && box[2] <= pen.canvas.width && !taken.some((other, n) => n !== own && box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
      if (!free) continue;
      taken.push(box);
      pen.strokeText(text, left, middle);
      pen.fillText(text, left, middle);
      return;
    }
  });
}
