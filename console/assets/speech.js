// Charts in words: the summary that stands for the picture, and what the keyboard cursor says. Pure.
import { numberOf } from './exact.js';
import { standing, startOf, valueAt } from './grid.js';
import { clock, dateTime, duration, exactish, percent, short, unitOf } from './format.js';
import { count, grouped, groupText } from './text.js';
import { lostText, missingText, windowStateText } from './states.js';

/** Series named in a sentence; more would not be listened to. */
const SPOKEN_MAX = 5;

/** A group's name: its labels that are set; what an ungrouped monitor has is its output. */
export function groupName(group, output) {
  const set = group.labels.filter((label) => label !== null);
  if (set.length) return set.map(groupText).join(' · ');
  return group.labels.length ? groupText(null) : output;
}

/** One paragraph that says what the chart shows. */
export function summaryOf(grid, output, rows, zone) {
  const unit = unitOf(output);
  const found = standing(grid);
  const parts = [
    `${output} of ${grid.monitor}, ${dateTime(grid.from, zone)} to ${clock(grid.to, zone)}, ` +
      `${count(grid.length, 'window')} of ${duration(grid.step)}, ${count(rows.length, 'line')}.`,
  ];
  for (const row of rows.slice(0, SPOKEN_MAX)) {
    parts.push(`${groupName(row.group, output)}: last ${short(row.last, unit)}, greatest ${short(row.max, unit)}.`);
  }
  if (rows.length > SPOKEN_MAX) parts.push(`And ${rows.length - SPOKEN_MAX} more.`);
  parts.push(completenessText(grid, found, zone));
  return parts.join(' ');
}

function completenessText(grid, found, zone) {
  const parts = [];
  if (!found.answered) return 'Nothing was answered in this range.';
  parts.push(found.below ? `${count(found.below, 'window')} not complete` : 'all closed windows complete');
  if (found.below && found.lowest !== null) {
    parts.push(`lowest ${found.lowest} % at ${clock(startOf(grid, found.lowestAt), zone)}`);
  }
  if (found.unknown) parts.push(`${found.unknown} with unknown expectation`);
  if (found.open) parts.push(`${found.open} still collecting`);
  const missing = grid.length - found.answered;
  if (missing) parts.push(`${missing} without an answer`);
  return `${parts.join(', ')}.`;
}

/** `900/1000 hosts · 88 timeout, 12 unreachable`; a step of several windows counts each host in each of them. */
export function hostsText(window) {
  if (window.percent === null) return 'hosts expected: unknown';
  const hosts =
    window.windowsExpected > 1 ? `host answers in ${window.windows} of ${window.windowsExpected} windows` : 'hosts';
  const ratio = `${grouped(window.ok ?? '?')}/${grouped(window.expected ?? '?')} ${hosts}`;
  const missing = missingText(window.missing);
  return missing ? `${ratio} · ${missing}` : ratio;
}

/** What the keyboard cursor says of a cell. */
export function spokenCell(grid, output, rows, at, zone) {
  const window = grid.windows[at];
  const time = clock(startOf(grid, at), zone);
  if (!window) return `${time}: nothing was answered for this window.`;
  const values = rows.slice(0, SPOKEN_MAX).map((row) => {
    const value = valueAt(grid, row.group, output, at);
    return `${groupName(row.group, output)} ${value === null ? 'no value' : exactish(value, unitOf(output))}`;
  });
  if (rows.length > SPOKEN_MAX) values.push(`and ${rows.length - SPOKEN_MAX} more`);
  const lost = lostText(window.lost);
  return (
    `${time}: ${values.join(', ')}. ${percent(window.percent)}, ${hostsText(window)}` +
    `${lost ? `, lost records: ${lost}` : ''}. ${windowStateText(window.state)}.`
  );
}

/**
 * What to say where the records do not add up to what was stored: `stored` are the windows of the point. Null if they
 * do, or if nothing can be said. Pure.
 */
export function difference(stored, answer) {
  const wasWhole = stored.length > 0 && stored.every(({ percent, state }) => percent === 100 && state === 'settled');
  if (!wasWhole || !answer?.asked?.final) return null;
  const { completeness } = answer.data;
  const before = stored.reduce((sum, { records }) => sum + Number(records ?? 0), 0);
  const now = numberOf(completeness.records);
  if (completeness.percent !== 100)
    return (
      `The point counted ${grouped(before)} records of all hosts; not all of its logs are there to be read now. ` +
      'Those below are the records of the hosts that are.'
    );
  // Of some hosts alone, as the question was about those, there are fewer.
  const expected = stored.reduce((sum, window) => sum + Number(window.expected ?? 0), 0);
  if (now === before || expected !== Number(completeness.expected)) return null;
  return (
    `The point counted ${grouped(before)} records in its window, the logs now hold ${grouped(now)} there: the monitor ` +
    'meant something else then, or files were changed since.'
  );
}
