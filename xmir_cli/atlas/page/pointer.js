// The pointers over the plane: they move it, bring it closer, draw a lasso, or keep an image.
function watchPointers(over, map, shown, selection) {
  const pointers = new Map();
  let lassoing = false;
  let drag = null; // what a pressed pointer does

  const placeOf = (event) => {
    const frame = over.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };

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
      shown.point(map.at(x, y));
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
    if (drag.draws && drag.moved > 6) selection.take(map.lassoed(), drag.grows);
    else if (drag.moved <= 4 && event.type === "pointerup") shown.pin(map.at(...placeOf(event)));
    map.state.lasso = [];
    map.redraw(false);
  }

  over.addEventListener("pointerdown", onDown);
  over.addEventListener("pointermove", onMove);
  for (const name of ["pointerup", "pointercancel"]) over.addEventListener(name, onUp);
  over.addEventListener("wheel", (event) => {
    event.preventDefault();
    map.closer(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...placeOf(event));
  }, { passive: false });
  over.addEventListener("dblclick", (event) => map.closer(2, ...placeOf(event)));

  // Draws instead of moving, or moves again.
  function lasso() {
    lassoing = !lassoing;
    press("lasso", lassoing);
    over.classList.toggle("drawing", lassoing);
    say(lassoing ? "Draw around images to select them." : "Drag moves the plane.");
  }

  return { lasso };
}
