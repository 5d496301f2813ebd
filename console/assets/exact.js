// Numbers that JavaScript would round. The engine's sums are exact decimals of any length; JSON.parse makes doubles of
// them. A value that differs from its text keeps the text, so that tables and downloads show every digit.

/** A number from the API whose text has more digits than a double holds. */
export class Exact {
  constructor(source) {
    this.source = source;
  }
  valueOf() {
    return Number(this.source);
  }
  toString() {
    return this.source;
  }
}

// Fewer characters than this are always exact in a double up to 15 digits and a point.
const LONG_NUMBER = /[:,[]\s*-?[\d.]{17}/;

/** JSON to values, exact where it matters. Where the browser cannot give sources, numbers are doubles as ever. */
export function parseExact(text) {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) => {
    if (typeof value !== 'number' || context?.source === undefined) return value;
    return sameDigits(context.source, value) ? value : new Exact(context.source);
  });
}

function sameDigits(source, value) {
  if (source === String(value)) return true;
  if (/[eE]/.test(source) || Math.abs(value) >= 1e21) return false;
  const plain = source.includes('.') ? source.replace(/\.?0+$/, '') : source;
  return plain === String(value);
}

/** The text of a value for a file: every digit, nothing added. */
export function exactText(value) {
  if (value === null || value === undefined) return '';
  return value instanceof Exact ? value.source : String(value);
}

/** The number to draw; null for what is no number. */
export function numberOf(value) {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return value instanceof Exact ? Number(value.source) : null;
}
