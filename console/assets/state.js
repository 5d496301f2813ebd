// What is chosen on the page, kept in the URL alone: a link shows what its sender saw, and the browser's back button
// undoes a zoom. Nothing here talks to the server.

export const RANGES = [
  ['5m', 300_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['3h', 10_800_000],
  ['6h', 21_600_000],
  ['12h', 43_200_000],
  ['24h', 86_400_000],
];
export const REFRESHES = [
  ['1 s', 1000],
  ['5 s', 5000],
  ['off', 0],
];
/** What is looked at: a monitor as a chart or as a table, the cluster, the hosts and their logs, or any question. */
const VIEWS = ['chart', 'table', 'cluster', 'hosts', 'explore'];
const DEFAULTS = { last: 900_000, refresh: 5000, zone: 'local', view: 'chart', top: 8 };
/** Lines that one chart can hold and still be read. */
export const TOPS = [8, 16, 24];

/** The state that `search` (a URL's query) says; what makes no sense there is the default. */
export function parseState(search) {
  const query = new URLSearchParams(search);
  const from = Date.parse(query.get('from') ?? '');
  const to = Date.parse(query.get('to') ?? '');
  const last = RANGES.find(([name]) => name === query.get('r'))?.[1] ?? DEFAULTS.last;
  const at = Date.parse(query.get('w') ?? '');
  return {
    monitor: query.get('m'),
    output: query.get('o'),
    last,
    zoom: from < to ? { from, to } : null,
    refresh: REFRESHES.find(([, ms]) => String(ms / 1000) === query.get('refresh'))?.[1] ?? DEFAULTS.refresh,
    zone: query.get('tz') === 'utc' ? 'utc' : DEFAULTS.zone,
    theme: ['light', 'dark'].includes(query.get('theme')) ? query.get('theme') : null,
    view: VIEWS.includes(query.get('view')) ? query.get('view') : DEFAULTS.view,
    top: TOPS.find((top) => String(top) === query.get('top')) ?? DEFAULTS.top,
    only: query.get('only'),
    hidden: query.getAll('hide'),
    window: Number.isNaN(at) ? null : at,
    states: query.get('hosts'),
    part: query.get('part') === 'records' ? 'records' : null,
    group: labelsOf(query.get('group')),
    q: query.get('q'),
    app: query.get('app'),
    host: query.get('host'),
    path: query.get('path'),
    file: query.get('file'),
  };
}

/** A group's labels as they stand in a URL; null if they are none. */
function labelsOf(text) {
  try {
    const labels = JSON.parse(text ?? 'null');
    const isLabel = (label) => label === null || typeof label === 'string';
    return Array.isArray(labels) && labels.every(isLabel) ? labels : null;
  } catch {
    return null;
  }
}

/** The URL's query that says `state`; defaults are left out so that links stay short. */
export function formatState(state) {
  const query = new URLSearchParams();
  const put = (name, value) => value !== null && value !== undefined && query.append(name, value);
  put('m', state.monitor);
  put('o', state.output);
  if (state.last !== DEFAULTS.last) put('r', RANGES.find(([, ms]) => ms === state.last)?.[0]);
  if (state.zoom) {
    put('from', new Date(state.zoom.from).toISOString());
    put('to', new Date(state.zoom.to).toISOString());
  }
  if (state.refresh !== DEFAULTS.refresh) put('refresh', String(state.refresh / 1000));
  if (state.zone !== DEFAULTS.zone) put('tz', state.zone);
  put('theme', state.theme);
  if (state.view !== DEFAULTS.view) put('view', state.view);
  if (state.top !== DEFAULTS.top) put('top', String(state.top));
  put('only', state.only);
  for (const key of state.hidden) put('hide', key);
  if (state.window !== null) put('w', new Date(state.window).toISOString());
  put('hosts', state.states);
  if (state.window !== null) {
    put('part', state.part);
    put('group', state.group && JSON.stringify(state.group));
  }
  if (state.view === 'explore') put('q', state.q);
  if (state.view === 'hosts') for (const name of ['app', 'host', 'path', 'file']) put(name, state[name]);
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** What a change of monitor takes back: choices that mean nothing elsewhere. */
export const FORGET_GROUPS = { only: null, hidden: [], window: null, states: null, part: null, group: null };

/** The page's state: reads the URL, writes it, and tells its listener. */
export class UrlState {
  constructor(view = window) {
    this.view = view;
    this.value = parseState(view.location.search);
    this.listener = () => {};
    view.addEventListener('popstate', () => {
      this.value = parseState(view.location.search);
      this.listener(this.value);
    });
  }

  /** Changes parts. `push` makes the change one that the back button undoes. */
  set(change, push = false) {
    this.value = { ...this.value, ...change };
    const url = `${this.view.location.pathname}${formatState(this.value)}`;
    if (push) this.view.history.pushState({ pushed: true }, '', url);
    else this.view.history.replaceState(this.view.history.state, '', url);
    this.listener(this.value);
  }

  /** Undoes a zoom: to the one before it, or, in a page that was opened zoomed, to the latest. */
  back() {
    if (this.view.history.state?.pushed) this.view.history.back();
    else this.set({ zoom: null });
  }
}
