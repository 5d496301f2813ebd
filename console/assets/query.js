// From what is chosen on the page to MQL text, and the step that a range is drawn with. Pure.

/** More cells than this are neither seen on a screen nor quick to fetch. */
export const CELLS_MAX = 900;
/** Steps that people read easily, in milliseconds. */
const STEPS_MS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].map(
  (seconds) => seconds * 1000,
);
/** Words that mean something after `from`. */
const KEYWORDS = new Set([
  'log',
  'select',
  'from',
  'where',
  'filter',
  'group',
  'by',
  'having',
  'order',
  'limit',
  'every',
  'since',
  'to',
  'parse',
  'lateness',
  'and',
  'or',
  'not',
  'in',
  'as',
  'is',
  'like',
]);

/** A monitor's name as MQL: bare if it is a plain word, else in backquotes, which are doubled inside. */
export function quoteName(name) {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !KEYWORDS.has(name.toLowerCase())) return name;
  return `\`${name.replaceAll('`', '``')}\``;
}

/** The shortest readable multiple of the monitor's window that cuts `span` into at most `CELLS_MAX` cells. */
export function stepFor(spanMs, windowMs) {
  const least = spanMs / CELLS_MAX;
  if (windowMs >= least) return windowMs;
  const readable = STEPS_MS.find((step) => step >= least && step % windowMs === 0);
  return readable ?? Math.ceil(least / windowMs) * windowMs;
}

/** A duration as MQL: the largest unit that divides it. */
export function mqlDuration(ms) {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ]) {
    if (ms % size === 0 && ms >= size) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

const mqlTime = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/** How long a range is. */
export function spanOf(range) {
  return range.last ?? range.to - range.from;
}

/**
 * The query of a chart.
 * @param {{name: string, window_ms: number}} monitor
 * @param {{last?: number, from?: number, to?: number}} range milliseconds
 */
export function queryOf(monitor, range) {
  const step = stepFor(spanOf(range), monitor.window_ms);
  const every = step === monitor.window_ms ? '' : ` every ${mqlDuration(step)}`;
  const when = range.last ? `since ${mqlDuration(range.last)}` : `from ${mqlTime(range.from)} to ${mqlTime(range.to)}`;
  return `select * from ${quoteName(monitor.name)}${every} ${when}`;
}
