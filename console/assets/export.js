// Downloads: every digit as the server sent it, and completeness beside every value. Pure but for `save`.
import { exactText } from './exact.js';

const COMPLETENESS = [
  'completeness',
  'ok',
  'expected',
  'missing',
  'records',
  'lost',
  'records_percent',
  'flags',
  'state',
  'revision',
];

/** The answer as CSV (RFC 4180), one row a point. */
export function csvOf(data) {
  const groupBy = data.group_by ?? [];
  const outputs = (data.outputs ?? []).map((output) => output.name ?? output);
  const rows = [['window', 'window_ms', ...groupBy, ...outputs, ...COMPLETENESS]];
  for (const point of data.points) {
    const c = point.completeness;
    rows.push([
      point.window,
      point.window_ms,
      ...groupBy.map((name) => point.group[name] ?? null),
      ...outputs.map((name) => point.values[name] ?? null),
      c.percent,
      c.ok,
      c.expected,
      pairs(c.missing),
      c.records,
      pairs(c.lost),
      c.records_percent,
      (c.flags ?? []).join(' '),
      point.state,
      point.revision,
    ]);
  }
  return rows.map((row) => row.map(field).join(',')).join('\r\n') + '\r\n';
}

function pairs(counts) {
  return Object.entries(counts ?? {})
    .map(([name, n]) => `${name}=${n}`)
    .join(' ');
}

/** A field: texts of logs that a spreadsheet would run as a formula get an apostrophe in front. */
function field(value) {
  let text = exactText(value);
  if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hands `text` to the browser as a file. */
export function save(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  URL.revokeObjectURL(link.href);
}
