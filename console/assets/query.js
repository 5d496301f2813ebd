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

/** Records that are asked for at first, and how many when more are wanted: as many as the server answers. */
export const RECORDS = [50, 1000];

const iso = (ms) => new Date(ms).toISOString();
const text = (value) => `'${String(value).replaceAll("'", "''")}'`;

/** The condition that selects a group's records; null if nothing can: what was folded has no name. Pure. */
export function conditionOf(names, labels) {
  if (labels.includes('__other__')) return null;
  return names
    .map((name, at) => {
      const column = `\`${name.replaceAll('`', '``')}\``;
      return labels[at] === null ? `${column} is null` : `${column} = ${text(labels[at])}`;
    })
    .join(' and ');
}

/** The question for a monitor's records in `[from, to)`, of one group or of all. Pure. */
export function recordsQuery(monitor, { from, to }, condition, { limit = RECORDS[0], latest = false } = {}) {
  const quoted = quoteName(monitor.name);
  const name = quoted.startsWith('`') ? quoted : `\`${quoted}\``;
  return (
    `select * from log ${name}${condition ? ` where ${condition}` : ''} from '${iso(from)}' to '${iso(to)}'` +
    `${latest ? ' order by time desc' : ''} limit ${limit}`
  );
}
