// Crafted answers: one monitor whose windows show every look, in known cells; the system table, and others. All times
// hang on one instant, so that every run sees the same page.

export const NOW = Date.parse('2026-11-23T07:45:00Z');
export const WINDOW_MS = 5000;
const HOSTS = 1000;

const complete = {
  percent: 100,
  ok: HOSTS,
  expected: HOSTS,
  missing: {},
  records: 5000,
  lost: {},
  records_percent: 100,
};
const below = (ok, missing) => ({ ...complete, percent: Math.floor((100 * ok) / HOSTS), ok, missing });

/** Cells of the 15 minutes before NOW, 180 of 5 s: what each stretch shows. The first that holds a cell counts. */
export const STRETCHES = [
  { name: 'settled', to: 60, state: 'settled', completeness: complete },
  { name: 'below', to: 80, state: 'settled', completeness: below(900, { timeout: 88, unreachable: 12 }) },
  { name: 'gap', to: 90, state: null },
  { name: 'red', to: 100, state: 'settled', completeness: below(300, { unreachable: 700 }) },
  { name: 'unknown', to: 110, state: 'settled', completeness: { ...complete, percent: null, ok: 0, expected: 0 } },
  { name: 'zero', to: 130, state: 'settled', completeness: complete, absent: ['/health'] },
  {
    name: 'none',
    to: 135,
    state: 'settled',
    completeness: { ...complete, records: 0 },
    absent: ['/api', '/health', '/img'],
  },
  {
    name: 'lost',
    to: 140,
    state: 'settled',
    completeness: { ...complete, lost: { late: 3, unparsable: 1 }, records_percent: 99.92 },
  },
  { name: 'again', to: 160, state: 'settled', completeness: complete },
  { name: 'provisional', to: 174, state: 'provisional', completeness: complete },
  { name: 'open', to: 178, state: 'open', completeness: below(400, { open: 600 }) },
  { name: 'pending', to: 180, state: null },
];

/** The first cell of a stretch and the one after its last. */
export function cellsOf(name) {
  const at = STRETCHES.findIndex((stretch) => stretch.name === name);
  return [at ? STRETCHES[at - 1].to : 0, STRETCHES[at].to];
}

const PATHS = { '/api': 52, '/health': 21, '/img': 8 };
const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');
const wave = (cell, seed) => Math.sin(cell / 9 + seed) * 0.18 + Math.sin(cell * 1.7 + seed * 3) * 0.07;

/** The points of `looks` in one cell before NOW; cells outside of the stretches repeat the first one. */
function looksAt(cell, windowMs, start) {
  const stretch = STRETCHES.find(({ to }) => cell < to && cell >= 0) ?? STRETCHES[0];
  if (stretch.state === null) return [];
  const point = (group, values) => ({
    monitor: 'looks',
    window: iso(start),
    window_ms: windowMs,
    group,
    values,
    completeness: stretch.completeness,
    state: stretch.state,
    revision: stretch.name === 'again' ? 2 : 1,
  });
  const absent = stretch.absent ?? [];
  const points = Object.entries(PATHS)
    .filter(([path]) => !absent.includes(path))
    .map(([path, base], seed) => {
      const requests = Math.round((base * (1 + wave(cell, seed)) * (stretch.completeness.ok || HOSTS)) / HOSTS);
      return point({ path }, { requests, p99_ms: Number((base * 3.1 * (1 + wave(cell, seed + 2))).toFixed(3)) });
    });
  return points.length ? points : [point({}, { requests: 0, p99_ms: null })];
}

function systemAt(cell, windowMs, start) {
  const point = (host, mount, values) => ({
    monitor: 'system',
    window: iso(start),
    window_ms: windowMs,
    group: { host, app: 'shop', zone: host < 'h3' ? 'a' : 'b', mount },
    values: { ...SYSTEM_NULLS, ...values },
    completeness: { ...complete, ok: 4, expected: 4, records: 20 },
    state: 'settled',
    revision: 1,
  });
  return ['h1', 'h2', 'h3', 'h4'].flatMap((host, seed) => [
    point(host, null, {
      'cpu.util': Number((34 + 60 * wave(cell, seed)).toFixed(2)),
      'cpu.user': 20,
      'cpu.system': 9,
      'cpu.iowait': 2,
      'cpu.steal': 0,
      'load.load1': 1.5 + wave(cell, seed),
      'load.load5': 1.4,
      'load.load15': 1.3,
      'mem.total': 16 * 2 ** 30,
      'mem.used': (6 + seed) * 2 ** 30,
      'mem.available': (10 - seed) * 2 ** 30,
      'disk.read': 1.2e6,
      'disk.written': 4.1e6,
      'net.received': 3.3e6,
      'net.sent': 9.1e6,
      'tcp.established': 120 + seed,
      'tcp.retransmitted': 0,
    }),
    point(host, '/', { 'disk.used_percent': 41 + seed }),
    point(host, '/data', { 'disk.used_percent': 77 + seed }),
  ]);
}

const SYSTEM = [
  'cpu.util',
  'cpu.user',
  'cpu.system',
  'cpu.iowait',
  'cpu.steal',
  'load.load1',
  'load.load5',
  'load.load15',
  'mem.total',
  'mem.used',
  'mem.available',
  'disk.read',
  'disk.written',
  'disk.used_percent',
  'net.received',
  'net.sent',
  'tcp.established',
  'tcp.retransmitted',
];
const SYSTEM_NULLS = Object.fromEntries(SYSTEM.map((name) => [name, null]));

function manyAt(cell, windowMs, start) {
  return Array.from({ length: 30 }, (_, n) => ({
    monitor: 'many',
    window: iso(start),
    window_ms: windowMs,
    group: { user: `user ${String(n).padStart(2, '0')}` },
    values: { total: 1000 - 30 * n + cell },
    completeness: complete,
    state: 'settled',
    revision: 1,
  }));
}

/** Texts of a log that must not do anything: markup, a formula, control and bidi characters. */
export const NASTY = ['<img src=x onerror="document.title=1">', '=1+1', 'a\u001b[31mb\u202ec', 'a,"b"'];
function nastyAt(cell, windowMs, start) {
  return NASTY.map((text) => ({
    monitor: 'nasty',
    window: iso(start),
    window_ms: windowMs,
    group: { text },
    values: { sum: '@@12345678901234567890.123456789@@' },
    completeness: complete,
    state: 'settled',
    revision: 1,
  }));
}

const monitor = (name, rest) => ({
  name,
  tenant: null,
  app: 'shop',
  log: '/var/log/shop/access.log',
  file: `monitors/${name}.yaml`,
  text: 'kind: monitor',
  version: '17',
  window_ms: WINDOW_MS,
  grace_ms: 1000,
  group_by: ['path'],
  outputs: ['requests', 'p99_ms'],
  hosts_expected: HOSTS,
  newest: iso(NOW - 10_000),
  below: 0,
  below_windows: [],
  troubles: [],
  ...rest,
});

export const MONITORS = [
  monitor('looks', {
    below: 35,
    below_windows: [{ window: iso(NOW - 430_000), ok: 300, expected: 1000, missing: { unreachable: 700 } }],
  }),
  monitor('many', { group_by: ['user'], outputs: ['total'] }),
  monitor('nasty', { group_by: ['text'], outputs: ['sum'] }),
  monitor('pay flow', { troubles: ['no host of app `pay` can be reached: 12 of 12 unreachable'] }),
  monitor('quiet', { newest: null, group_by: [], outputs: ['total'] }),
  monitor('stalled', { newest: iso(NOW - 600_000) }),
  monitor('system', {
    log: null,
    app: null,
    group_by: ['host', 'app', 'zone', 'mount'],
    outputs: SYSTEM,
    hosts_expected: 4,
  }),
];

export const MISTAKES = [
  {
    file: 'sunfire-data/config/pay.yaml',
    line: 12,
    column: 7,
    message: 'unknown aggregate `cuont`',
    hint: 'did you mean `count`?',
  },
];

const SOURCES = {
  looks: looksAt,
  'pay flow': looksAt,
  stalled: looksAt,
  many: manyAt,
  system: systemAt,
  nasty: nastyAt,
  quiet: () => [],
};

/** The points of a monitor from `from` to `to` in steps of `stepMs`. */
export function pointsOf(name, from, to, stepMs) {
  const points = [];
  for (let start = Math.ceil(from / stepMs) * stepMs; start < to; start += stepMs) {
    const cell = Math.floor((start - (NOW - 900_000)) / WINDOW_MS);
    points.push(...SOURCES[name](cell, stepMs, start).map((point) => merged(point, stepMs)));
  }
  return points;
}

/** A step of several windows counts each host in each of them, and says the least complete one. */
function merged(point, stepMs) {
  const n = stepMs / WINDOW_MS;
  if (n === 1) return point;
  const c = point.completeness;
  const missing = Object.fromEntries(Object.entries(c.missing).map(([state, hosts]) => [state, hosts * n]));
  return {
    ...point,
    revision: n,
    completeness: {
      ...c,
      ok: c.ok * n,
      expected: c.expected * n,
      missing,
      min_percent: c.percent,
      windows: n,
      windows_expected: n,
    },
  };
}

/** The hosts of any window: enough of each state to be filtered. */
export function hostsOf() {
  const state = (n) => (n < 88 ? 'timeout' : n < 100 ? 'unreachable' : n % 7 ? 'ok' : 'ok_silent');
  const detail = { timeout: 'no answer to snapshot within 2 s', unreachable: 'connection refused' };
  return Array.from({ length: HOSTS }, (_, n) => ({
    host: `web-${String(n).padStart(4, '0')}`,
    state: state(n),
    detail: detail[state(n)] ?? null,
    labels: { zone: n % 3 ? 'a' : 'b' },
  }));
}

const askedOf = (answered, final, missing = []) => ({ hosts: HOSTS, answered, bytes: answered * 5000, final, missing });
/** Hosts that a question to logs may not have reached. */
const LACKING = [
  { host: 'web-0007', state: 'timeout', detail: 'the map map-1: no answer within 120 s', windows: 1 },
  { host: NASTY[0], state: 'bytes_lost', detail: 'truncated', windows: 1 },
];
const recordAt = (n, text, rest = {}) => ({
  time: new Date(NOW - 595_000 + n * 10).toISOString(),
  host: `web-${String(n).padStart(4, '0')}`,
  file: '/var/log/shop/access.log.1',
  offset: 4096 + n * 100,
  bytes: 100,
  text,
  cut: false,
  ...rest,
});

/** Records as they come: half of the hosts, then all but `lacking`. */
export function recordMoments({ lacking = false, records = 5000, matched = 7 } = {}) {
  const texts = [...NASTY, 'a trace\n  at some.place(Code:1)', 'a'.repeat(300), 'plain'];
  const shown = texts.map((said, n) => recordAt(n, said));
  shown[5] = { ...shown[5], cut: true, bytes: 123_456 };
  const missing = lacking ? LACKING : [];
  const moment = (answered, found, final) => {
    const ok = final ? HOSTS - missing.length : answered;
    const kinds = missing.map(({ state }) => [state, 1]);
    return {
      status: 'success',
      data: {
        records: found,
        matched: final ? matched : found.length,
        more: final && matched > found.length,
        limit: 50,
        order: 'asc',
        monitor: 'looks',
        window_ms: WINDOW_MS,
        from: iso(NOW - 595_000),
        to: iso(NOW - 590_000),
        completeness: {
          ...complete,
          ok,
          percent: Math.floor((100 * ok) / HOSTS),
          missing: final ? Object.fromEntries(kinds) : { open: HOSTS - answered },
          records,
          windows: 1,
          windows_expected: 1,
        },
        state: final ? 'settled' : 'open',
      },
      warnings: [],
      partial: !final || lacking,
      asked: askedOf(answered, final, final ? missing : []),
    };
  };
  return [moment(500, shown.slice(0, 3), false), moment(HOSTS, shown, true)];
}

/** Counts of logs as they come. */
export function countMoments({ lacking = false } = {}) {
  const missing = lacking ? LACKING : [];
  const moment = (answered, final) => {
    const ok = final ? HOSTS - missing.length : answered;
    const point = (minute, op, n) => ({
      monitor: 'query',
      window: iso(NOW - 600_000 + minute * 60_000),
      window_ms: 60_000,
      group: { op },
      values: { n },
      completeness: {
        ...complete,
        ok,
        percent: Math.floor((100 * ok) / HOSTS),
        missing: final ? (lacking ? { timeout: 1, bytes_lost: 1 } : {}) : { open: HOSTS - answered },
      },
      state: final ? 'settled' : 'open',
      revision: 1,
    });
    const minutes = [0, 1, 2, 3, 4, 5, 6, 7];
    return {
      status: 'success',
      data: {
        points: minutes.flatMap((minute) => [point(minute, 'ask', 3 * answered), point(minute, 'pay', answered + minute)]),
        monitor: 'query',
        window_ms: 60_000,
        group_by: ['op'],
        outputs: ['n'],
        absent: { n: 0 },
        from: iso(NOW - 600_000),
        to: iso(NOW),
      },
      warnings: [],
      partial: !final || lacking,
      asked: askedOf(answered, final, final ? missing : []),
    };
  };
  return [moment(400, false), moment(HOSTS, true)];
}
