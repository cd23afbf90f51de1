"""What of a page cannot be read well: its contrast is below that of WCAG 2, AA."""

CONTRAST = """
const channel = value =>
  (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = color => {
  const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
};
const ground = each => {
  for (; each; each = each.parentElement) {
    const color = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(color)) return color;
  }
  return 'rgb(255,255,255)';
};
const ratio = each => {
  const pair = [light(getComputedStyle(each).color), light(ground(each))].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
};
return [...document.querySelectorAll('body *')]
  .filter(each => each.checkVisibility() && !each.closest('svg, script, style, :disabled')
    && [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .map(each => [ratio(each), each.outerHTML.slice(0, 80)])
  .filter(each => each[0] < 4.5);
"""
