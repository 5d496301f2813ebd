// The page's pure modules, without a browser: queries, steps, the state in the URL, looks, gaps and proven zeros,
// numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf } from '../../console/assets/export.js';
import { Exact, parseExact } from '../../console/assets/exact.js';
import { clock, duration, exactish, full, short, unitOf } from '../../console/assets/format.js';
import { gridOf, numbersOf, ranked, timeMs } from '../../console/assets/grid.js';
import { chosen } from '../../console/assets/legend-choice.js';
import { dimRuns, lookOf, worse } from '../../console/assets/look.js';
import { assignColours } from '../../console/assets/palette.js';
import { CELLS_MAX, conditionOf, mqlDuration, queryOf, quoteName, recordsQuery, stepFor } from '../../console/assets/query.js';
import { difference } from '../../console/assets/speech.js';
import { formatState, parseState } from '../../console/assets/state.js';
import { flagText } from '../../console/assets/states.js';
import { grouped, groupText, visible } from '../../console/assets/text.js';
import { NOW, cellsOf, pointsOf } from './crafted.mjs';

test('names that are not words stand in backquotes', () => {
  for (const [name, expected] of [
    ['pay', 'pay'],
    ['sunfire_http', 'sunfire_http'],
    ['pay flow', '`pay flow`'],
    ['a`b', '`a``b`'],
    ['log', '`log`'],
    ['Since', '`Since`'],
    ['1005', '`1005`'],
    ['a.b', '`a.b`'],
    ['été', '`été`'],
  ]) {
    assert.equal(quoteName(name), expected);
  }
});

test('folded groups name the columns that made so many, where that is known', () => {
  const overflow = { groups: 1000, columns: ['uri', 'user'], values: 1200, or_more: true };
  assert.match(flagText('groups_folded', overflow), /more than 1000, mostly by uri and user: 1200 different values each or more/);
  assert.doesNotMatch(flagText('groups_folded', null), /mostly/);
  assert.doesNotMatch(flagText('poisoned', overflow), /mostly/);
});

test('a step is a readable multiple of the window that gives few enough cells', () => {
  const minute = 60_000;
  for (const [span, window, expected] of [
    [15 * minute, 1000, 1000],
    [15 * minute, 5000, 5000],
    [60 * minute, 1000, 5000],
    [60 * minute, 5000, 5000],
    [1440 * minute, 5000, 120_000],
    [1440 * minute, 7000, 98_000],
    [5 * minute, minute, minute],
  ]) {
    const step = stepFor(span, window);
    assert.equal(step, expected, `${span} ${window}`);
    assert.equal(step % window, 0);
    assert.ok(span / step <= CELLS_MAX);
  }
});

test('queries', () => {
  const monitor = { name: 'pay flow', window_ms: 5000 };
  assert.equal(queryOf(monitor, { last: 900_000 }), 'select * from `pay flow` since 15m');
  assert.equal(queryOf(monitor, { last: 86_400_000 }), 'select * from `pay flow` every 2m since 1d');
  assert.equal(
    queryOf(monitor, { from: NOW - 60_000, to: NOW }),
    'select * from `pay flow` from 2026-11-23T07:44:00Z to 2026-11-23T07:45:00Z',
  );
  assert.equal(mqlDuration(1500), '1500ms');
});

test('the state goes through the URL unchanged', () => {
  const plain = parseState('');
  assert.equal(formatState(plain), '');
  const state = {
    ...plain,
    monitor: 'a&b',
    output: 'x',
    last: 3_600_000,
    zoom: { from: NOW - 60_000, to: NOW },
    refresh: 0,
    zone: 'utc',
    theme: 'dark',
    view: 'table',
    top: 16,
    only: '["/api"]',
    hidden: ['["a"]', '[null]'],
    window: NOW - 5000,
    states: 'timeout',
  };
  assert.deepEqual(parseState(formatState(state)), state);
  assert.deepEqual(parseState('?r=7y&from=x&to=y&refresh=2&tz=mars&theme=pink&view=z&top=1000&w=never'), plain);
  assert.equal(parseState('?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z').zoom, null);
});

const window = (rest) => ({ missing: {}, percent: 100, recordsPercent: 100, flags: [], state: 'settled', ...rest });

test('looks', () => {
  const check = (rest, line, hollow, dim, level) => {
    const look = lookOf(window(rest));
    assert.deepEqual([look.line, look.hollow, look.dim, look.level], [line, hollow, dim, level], JSON.stringify(rest));
  };
  check({}, 'solid', false, false, 'quiet');
  check({ percent: 99 }, 'dashed', true, false, 'amber');
  check({ percent: 50 }, 'dashed', true, false, 'amber');
  check({ percent: 49 }, 'dashed', true, false, 'red');
  check({ percent: null }, 'dashed', true, false, 'unknown');
  check({ recordsPercent: 99.99 }, 'dashed', true, false, 'amber');
  check({ recordsPercent: 12 }, 'dashed', true, false, 'red');
  check({ flags: ['poisoned'] }, 'dashed', true, false, 'red');
  check({ flags: ['groups_folded'] }, 'solid', false, false, 'quiet');
  check({ state: 'provisional' }, 'dotted', false, true, 'quiet');
  check({ state: 'provisional', percent: 90 }, 'dashed', true, true, 'amber');
  check({ state: 'open', percent: 0 }, 'dotted', false, true, 'pending');
  assert.equal(lookOf(null).line, null);
  // A step is open for ever if a window of it is not stored: that is no collecting.
  const old = lookOf(window({ state: 'open', percent: 40, missing: { not_stored: 3 } }), false);
  assert.deepEqual([old.line, old.hollow, old.level], ['dashed', true, 'red']);
  assert.equal(lookOf(window({ state: 'open', percent: 40, missing: { not_stored: 3 } }), true).level, 'pending');
  assert.equal(worse('solid', 'dotted'), 'dotted');
  assert.equal(worse('dashed', 'dotted'), 'dashed');
  assert.deepEqual(dimRuns([true, true, false, true].map((dim) => ({ dim }))), [
    [0, 1],
    [3, 3],
  ]);
});

function looks(extra = {}) {
  const data = {
    points: pointsOf('looks', NOW - 900_000, NOW, 5000),
    monitor: 'looks',
    window_ms: 5000,
    group_by: ['path'],
    outputs: ['requests', 'p99_ms'],
    from: new Date(NOW - 900_000).toISOString(),
    to: new Date(NOW).toISOString(),
    ...extra,
  };
  return gridOf(data, { from: 0, to: 0, now: NOW });
}

test('gaps are gaps and a proven zero is zero', () => {
  const grid = looks();
  assert.equal(grid.length, 180);
  const health = numbersOf(grid, grid.groups.get('["/health"]'), 'requests');
  const quantile = numbersOf(grid, grid.groups.get('["/health"]'), 'p99_ms');
  for (const [name, zero] of [
    ['gap', null],
    ['pending', null],
    ['zero', 0],
    ['none', 0],
  ]) {
    const [from, to] = cellsOf(name);
    assert.ok(
      health.slice(from, to).every((value) => value === zero),
      name,
    );
    assert.ok(
      quantile.slice(from, to).every((value) => value === null),
      `a quantile of nothing is unknown: ${name}`,
    );
  }
  assert.ok(health.slice(...cellsOf('below')).every((value) => value > 0));
  assert.equal(grid.looks[179].level, 'pending');
  assert.equal(grid.looks[85].level, 'none');
});

test('nothing is on its way from before the first window', () => {
  const point = (ageMs) => ({
    window: new Date(NOW - ageMs).toISOString(),
    window_ms: 5000,
    group: {},
    values: { n: 1 },
    state: 'settled',
    completeness: { percent: 100 },
  });
  const levels = (points) => {
    const data = { points, monitor: 'm', window_ms: 5000, outputs: ['n'] };
    return gridOf(data, { from: NOW - 40_000, to: NOW, now: NOW }).looks.map((look) => look.level);
  };
  const late = ['pending', 'pending', 'pending', 'pending', 'pending', 'pending', 'pending'];
  assert.deepEqual(levels([]), ['none', ...late]);
  const none = ['none', 'none', 'none', 'none'];
  assert.deepEqual(levels([point(20_000), point(10_000)]), [...none, 'quiet', 'pending', 'quiet', 'pending']);
});

test('absence is zero only where hosts are complete, nothing was folded, and the server says so', () => {
  const point = (group, rest) => ({
    window: new Date(NOW - 5000).toISOString(),
    window_ms: 5000,
    group: { g: group },
    values: { n: 1 },
    state: 'settled',
    revision: 1,
    completeness: { percent: 100, records_percent: 100, ...rest },
  });
  const seen = (rest, absent) => {
    const before = { ...point('b'), window: new Date(NOW - 10_000).toISOString() };
    const grid = gridOf(
      { points: [before, point('a', rest)], monitor: 'm', window_ms: 5000, group_by: ['g'], outputs: ['n'], absent },
      { from: NOW - 10_000, to: NOW, now: NOW },
    );
    return numbersOf(grid, grid.groups.get('["b"]'), 'n');
  };
  assert.deepEqual(seen({}, { n: 0 }), [1, 0]);
  assert.deepEqual(seen({}, { n: null }), [1, null]);
  assert.deepEqual(seen({}, undefined), [1, null]);
  assert.deepEqual(seen({ percent: 99 }, { n: 0 }), [1, null]);
  assert.deepEqual(seen({ percent: null }, { n: 0 }), [1, null]);
  assert.deepEqual(seen({ flags: ['groups_folded'] }, { n: 0 }), [1, null]);
});

test('groups are ranked by what is shown, and last values are of closed windows', () => {
  const rows = ranked(looks(), 'requests');
  assert.deepEqual(
    rows.map((row) => row.group.key),
    ['["/api"]', '["/health"]', '["/img"]'],
  );
  assert.equal(rows[0].lastAt, 173);
  const state = { top: 2, only: null, hidden: ['["/api"]'] };
  assert.deepEqual(
    chosen(rows, state).drawn.map((row) => row.group.key),
    ['["/health"]'],
  );
  assert.equal(chosen(rows, state).listed.length, 2);
  // An isolated line is listed though it is not among the top ones.
  assert.equal(chosen(rows, { ...state, only: '["/img"]' }).listed.length, 3);
});

test('colours stay with their groups', () => {
  const kept = new Map();
  assert.deepEqual(
    [...assignColours(kept, ['a', 'b', 'c'])],
    [
      ['a', 0],
      ['b', 1],
      ['c', 2],
    ],
  );
  assert.deepEqual(Object.fromEntries(assignColours(kept, ['c', 'd', 'a'])), { a: 0, c: 2, d: 1 });
});

test('numbers', () => {
  for (const [value, unit, expected] of [
    [0, '', '0'],
    [1179, '', '1179'],
    [12345, '', '12\u202f345'],
    [1_234_567, '', '1.235 M'],
    [0.00123, '', '0.0012'],
    [null, '', '–'],
    [1536, 'B', '1.5 KiB'],
    [3.2e6, 'B/s', '3.052 MiB/s'],
    [1500, 'ms', '1.5 s'],
    [0.25, 'ms', '250 µs'],
    [99.5, '%', '99.5 %'],
    [-5, '', '-5'],
  ]) {
    assert.equal(short(value, unit), expected);
  }
  assert.equal(full(1234567.891), '1\u202f234\u202f567.891');
  assert.equal(exactish(0.1 + 0.2), '0.3');
  assert.equal(grouped(1000), '1000');
  assert.deepEqual(
    ['p99_ms', 'cpu.util', 'mem.used', 'net.sent', 'disk.used_percent', 'total', 'body_bytes'].map(unitOf),
    ['ms', '%', 'B', 'B/s', '%', '', 'B'],
  );
});

test('numbers that doubles hold are plain numbers', () => {
  assert.deepEqual(parseExact('{"a": 1.50, "b": [12345678901234567], "c": "12345678901234567890"}').a, 1.5);
  // What they do not hold is tested in the browser: not every node tells JSON.parse the source of a number.
  assert.equal(full(new Exact('12345678901234567890.5')), '12\u202f345\u202f678\u202f901\u202f234\u202f567\u202f890.5');
});

test('times', () => {
  assert.equal(clock(NOW + 5000, 'utc'), '07:45:05');
  assert.equal(clock(NOW + 5, 'utc'), '07:45:00.005');
  for (const [ms, expected] of [
    [400, '400 ms'],
    [5000, '5 s'],
    [150_000, '2 min 30 s'],
    [900_000, '15 min'],
    [86_400_000, '24 h'],
    [4 * 86_400_000, '4 d'],
  ]) {
    assert.equal(duration(ms), expected);
  }
  assert.equal(timeMs('2026-11-23T07:45:00Z'), NOW);
  assert.equal(timeMs(NOW), NOW);
  assert.equal(timeMs(NOW * 1e6), NOW);
  assert.equal(timeMs(null), null);
});

test('what cannot be seen is spelt out', () => {
  assert.equal(visible('a\u001b[31mb\u202ec\u0000'), 'a\\x1b[31mb\\u{202e}c\\x00');
  assert.equal(groupText(null), '(none)');
  assert.equal(groupText('__other__'), 'other groups');
});

test('CSV', () => {
  const point = {
    window: '2026-11-23T07:45:00Z',
    window_ms: 5000,
    group: { g: '=1+1' },
    values: { n: -2, t: 'a,"b"', x: null },
    state: 'settled',
    revision: 1,
    completeness: {
      percent: 90,
      ok: 9,
      expected: 10,
      missing: { timeout: 1 },
      records: 5,
      lost: { late: 2 },
      records_percent: 71.42,
    },
  };
  const lines = csvOf({ points: [point], group_by: ['g'], outputs: ['n', 't', 'x'] }).split('\r\n');
  assert.equal(
    lines[0],
    'window,window_ms,g,n,t,x,completeness,ok,expected,missing,records,lost,records_percent,flags,state,revision',
  );
  assert.equal(lines[1], '2026-11-23T07:45:00Z,5000,\'=1+1,-2,"a,""b""",,90,9,10,timeout=1,5,late=2,71.42,,settled,1');
});

test('the records behind a point are those of its window and its group', () => {
  assert.equal(conditionOf(['op', 'a`b'], ["it's", null]), "`op` = 'it''s' and `a``b` is null");
  assert.equal(conditionOf(['op'], ['__other__']), null);
  assert.equal(conditionOf([], []), '');
  const range = { from: NOW - 5000, to: NOW };
  assert.equal(
    recordsQuery({ name: 'pay' }, range, "`op` = 'a'", { limit: 1000, latest: true }),
    "select * from log `pay` where `op` = 'a' from '2026-11-23T07:44:55.000Z' to '2026-11-23T07:45:00.000Z' " +
      'order by time desc limit 1000',
  );
  assert.equal(
    recordsQuery({ name: 'pay flow' }, range, ''),
    "select * from log `pay flow` from '2026-11-23T07:44:55.000Z' to '2026-11-23T07:45:00.000Z' limit 50",
  );
});

test('records that do not add up to a settled point are told, and nothing else is', () => {
  const stored = (change = {}) => [{ percent: 100, state: 'settled', records: 12, expected: 3, ...change }];
  const answer = (percent, records, final = true, expected = 3) => ({
    data: { completeness: { percent, records, expected } },
    asked: { final },
  });
  assert.equal(difference(stored(), answer(100, 12)), null);
  assert.match(difference(stored(), answer(100, 11)), /counted 12 records .* now hold 11/);
  assert.match(difference(stored(), answer(90, 11)), /not all of its logs are there/);
  assert.equal(difference(stored({ percent: 90 }), answer(90, 11)), null);
  assert.equal(difference(stored({ state: 'provisional' }), answer(100, 11)), null);
  assert.equal(difference(stored(), answer(50, 3, false)), null);
  assert.equal(difference(stored(), answer(100, 11, true, 1)), null, 'the records of one host');
  assert.equal(difference([], answer(100, 11)), null);
  assert.equal(difference(stored(), null), null);
});

test('what the drawer shows stands in the URL', () => {
  const state = { ...parseState('?m=looks'), window: NOW, part: 'records', group: ['/api', null] };
  const back = parseState(formatState(state));
  assert.deepEqual([back.part, back.group], ['records', ['/api', null]]);
  assert.equal(parseState('?group=%7B%7D').group, null);
  assert.equal(parseState('?group=%5B1%5D').group, null);
  assert.equal(parseState('?group=nonsense').group, null);
  assert.equal(parseState(formatState({ ...parseState('?view=explore'), q: 'select 1' })).q, 'select 1');
});
