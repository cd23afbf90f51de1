// Names as they are shown: what would turn or break a line is spelt out, as in a terminal (Python's
// console.escape).
const SHORT_ESCAPES = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function safe(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (each) => {
    const digits = each.codePointAt(0).toString(16);
    if (digits.length <= 2) return SHORT_ESCAPES[each] ?? `\\x${digits.padStart(2, "0")}`;
    return digits.length <= 4 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
}
