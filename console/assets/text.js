// Bytes of logs as text for people. Preact escapes HTML; what it does not touch are characters that are invisible, move
// the cursor, or turn the reading direction: two values that differ only in those would look alike.

// C0, DEL, C1; soft hyphen; zero width; bidi marks, embeddings and isolates; line separators; BOM.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** `text` with every unseen character spelt out. */
export function visible(text) {
  return String(text).replace(UNSEEN, (character) => {
    const code = character.codePointAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A group column's value as text; null and the fold of M6 have names of their own. */
export function groupText(value) {
  if (value === null || value === undefined) return '(none)';
  if (value === '') return '(empty)';
  if (value === '__other__') return 'other groups';
  return visible(value);
}

/** Digits in groups of three from five digits on, so that a year or `1000` stays one word. */
export function grouped(digits) {
  const text = String(digits);
  return text.replace(/^-/, '').length < 5 ? text : text.replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `n` things: `1 host`, `3 hosts`. */
export function count(n, word) {
  return `${grouped(n)} ${word}${n === 1 ? '' : 's'}`;
}
