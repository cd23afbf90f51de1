// Parts of the page, and words about images. Text is only ever set as text.
const at = (id) => document.getElementById(id);
const say = (text) => { at("status").textContent = text; };
const press = (id, on) => at(id).setAttribute("aria-pressed", String(on));
const short = (id) => safe(id.slice(id.lastIndexOf("/", id.length - 2) + 1));
const spaced = (count) => count.toLocaleString("en").replaceAll(",", " ");
const counted = (count) => (count === 1 ? "1 image" : `${spaced(count)} images`);
const LONGEST = 34; // characters of a name in a list

// A long name by its beginning and its end, in which names differ.
function inShort(text) {
  const letters = [...text];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST / 2).join("")}…${letters.slice(1 - LONGEST / 2).join("")}` : text;
}

function make(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}
