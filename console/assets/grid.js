// An answer's points as a grid of windows by groups: every window of the range has a cell, whether or not anything was
// answered for it, so that a gap is a gap. Decides where an absent group is a proven zero (C3). Pure.
import { lookOf, PENDING_LOOK } from './look.js';
import { numberOf } from './exact.js';

/** A range of more cells than this was not asked for by this page; the rest is not drawn, and said. */
export const GRID_CELLS_MAX = 20_000;
/** A window without any answer this soon after its end is on its way; later, it is missing. */
export const PENDING_MS = 30_000;

/**
 * @param {object} data `data` of `/api/v1/query`
 * @param {{from: number, to: number, now: number}} asked the range to fall back on, and the server's time; milliseconds
 */
export function gridOf(data, asked) {
  const points = data.points ?? [];
  const step = points[0]?.window_ms ?? data.window_ms;
  const from = timeMs(data.from) ?? asked.from;
  const to = timeMs(data.to) ?? asked.to;
  const first = Math.floor(from / step) * step;
  const length = Math.min(GRID_CELLS_MAX, Math.max(1, Math.ceil((to - first) / step)));
  const grid = {
    monitor: data.monitor,
    step,
    windowMs: data.window_ms ?? step,
    from,
    to,
    first,
    length,
    groupBy: data.group_by ?? [],
    outputs: outputNames(data, points),
    windows: new Array(length).fill(null),
    empty: new Array(length).fill(null),
    groups: new Map(),
    absent: data.absent ?? {},
    cut: Math.ceil((to - first) / step) > GRID_CELLS_MAX,
  };
  for (const point of points) place(grid, point);
  const firstAnswered = grid.windows.findIndex((window) => window !== null);
  grid.looks = grid.windows.map((window, at) => {
    const recent = startOf(grid, at) + step >= asked.now - PENDING_MS;
    // Before its first window a monitor has none that could be on its way.
    return !window && recent && at > firstAnswered ? PENDING_LOOK : lookOf(window, recent);
  });
  grid.zeros = new Set(grid.outputs.filter((output) => absenceIsZero(grid, output)));
  return grid;
}

function outputNames(data, points) {
  if (data.outputs?.length) return data.outputs.map((output) => output.name ?? output);
  return [...new Set(points.flatMap((point) => Object.keys(point.values)))];
}

function place(grid, point) {
  const start = timeMs(point.window);
  const at = Math.round((start - grid.first) / grid.step);
  if (at < 0 || at >= grid.length) return;
  grid.windows[at] ??= windowOf(point, start);
  // A window without groups of a grouped monitor is one point that names none.
  if (grid.groupBy.length && !Object.keys(point.group).length) {
    grid.empty[at] = point;
    return;
  }
  const labels = grid.groupBy.map((name) => point.group[name] ?? null);
  const key = JSON.stringify(labels);
  let group = grid.groups.get(key);
  if (!group) {
    group = { key, labels, points: new Array(grid.length).fill(null) };
    grid.groups.set(key, group);
  }
  group.points[at] = point;
}

/** What a point says of its window, or of the windows that its step merges. */
export function windowOf(point, start) {
  const found = point.completeness ?? {};
  return {
    start,
    percent: found.percent ?? null,
    minPercent: found.min_percent ?? null,
    ok: found.ok ?? null,
    expected: found.expected ?? null,
    missing: found.missing ?? {},
    records: found.records ?? null,
    lost: found.lost ?? {},
    recordsPercent: found.records_percent ?? 100,
    head: found.head ?? 0,
    badValue: found.bad_value ?? {},
    flags: found.flags ?? [],
    overflow: found.overflow ?? null,
    state: point.state,
    revision: point.revision,
    windows: found.windows ?? 1,
    windowsExpected: found.windows_expected ?? 1,
  };
}

/** A time of the API in milliseconds: RFC 3339, or a number of milliseconds or nanoseconds. Null for none. */
export function timeMs(value) {
  if (value === null || value === undefined) return null;
  const number = typeof value === 'string' ? Date.parse(value) : Number(value);
  if (Number.isNaN(number)) return null;
  return Math.abs(number) > 1e15 ? Math.floor(number / 1e6) : number;
}

/**
 * Whether nothing to aggregate makes this output zero (counts, sums) or unknown (averages, quantiles). The server says
 * it; where it does not, a window that was answered without groups shows it. Without any evidence, absence is a gap.
 */
function absenceIsZero(grid, output) {
  if (output in grid.absent) return grid.absent[output] === 0;
  return grid.empty.some((point) => point && numberOf(point.values[output]) === 0);
}

/** A group's value of an output in a cell: as answered, 0 where absence is proven, else null: a gap. */
export function valueAt(grid, group, output, at) {
  const point = group.points[at];
  if (point) return point.values[output] ?? null;
  const window = grid.windows[at];
  const proven =
    window?.percent === 100 && !window.flags.includes('groups_folded') && !window.flags.includes('poisoned');
  return proven && grid.zeros.has(output) ? 0 : null;
}

/** A group's numbers of an output, one a cell, for drawing. */
export function numbersOf(grid, group, output) {
  return Array.from({ length: grid.length }, (_, at) => numberOf(valueAt(grid, group, output, at)));
}

/** The start of a cell, milliseconds. */
export function startOf(grid, at) {
  return grid.first + at * grid.step;
}

/**
 * The groups that have a value of `output`, greatest first, with what a legend says of them. Points do not tell a
 * group's records, so groups are ranked by the sum of what is shown; ties by name, so that nothing jumps.
 */
export function ranked(grid, output) {
  const rows = [];
  for (const group of grid.groups.values()) {
    const numbers = numbersOf(grid, group, output);
    const row = { group, numbers, sum: 0, max: null, last: null, lastAt: -1, points: 0 };
    numbers.forEach((number, at) => addTo(row, number, at, grid));
    if (row.points) rows.push(row);
  }
  return rows.sort((a, b) => b.sum - a.sum || (a.group.key < b.group.key ? -1 : 1));
}

function addTo(row, number, at, grid) {
  if (number === null) return;
  row.points += 1;
  row.sum += Math.abs(number);
  row.max = row.max === null ? number : Math.max(row.max, number);
  // An open window's value still grows: it is no last value to go by.
  if (grid.looks[at].level !== 'pending') {
    row.last = number;
    row.lastAt = at;
  }
}

/** How the answer's windows stand, for summaries. */
export function standing(grid) {
  const result = { answered: 0, complete: 0, below: 0, open: 0, unknown: 0, lowest: null, lowestAt: -1, newestAt: -1 };
  grid.windows.forEach((window, at) => {
    if (!window) return;
    result.answered += 1;
    if (grid.looks[at].level === 'pending') {
      result.open += 1;
      return;
    }
    result.newestAt = at;
    if (grid.looks[at].line !== 'dashed') result.complete += 1;
    else result.below += 1;
    if (window.percent === null) result.unknown += 1;
    else if (result.lowest === null || window.percent < result.lowest) {
      result.lowest = window.percent;
      result.lowestAt = at;
    }
  });
  return result;
}
