// The drawer: the records behind a point, or the hosts of one window and why. The step of a long range merges several
// windows; the hosts then begin with those of the least complete of them, and walk through the others.
import { html, useEffect, useMemo, useRef, useState } from './dom.js';
import { ask } from './api.js';
import { clock, dateTime, duration, percent, zoneName } from './format.js';
import { timeMs, windowOf } from './grid.js';
import { lookOf } from './look.js';
import { HostTable } from './hosts.js';
import { useLive } from './live.js';
import { RecordsOf } from './records.js';
import { queryOf } from './query.js';
import { Trust } from './tooltip.js';
import { lossText, words } from './states.js';
import { grouped, visible } from './text.js';

const iso = (ms) => new Date(ms).toISOString();

/**
 * @param {object} props `monitor` as the API lists it, `start` and `step` of the cell in milliseconds, `zone`,
 *   `everyMs` (an open window goes on changing), `states` (the filter), `part` (`records`, else hosts), `group` (the
 *   labels of the point's, null for all), `change(patch)`, `close()`
 */
export function Drawer({ monitor, start, step, zone, everyMs, states, part, group, change, close }) {
  const panel = useRef(null);
  const [picked, setPicked] = useState(null);
  const inner = useInner(monitor, start, step, everyMs);
  useEffect(() => setPicked(null), [start, monitor.name]);
  useEffect(() => panel.current.focus(), [start]);
  const windows = inner.value?.windows ?? [];
  const at = picked ?? leastComplete(windows);
  const window = windows[at] ?? null;
  const from = window?.start ?? start;
  const asked = `${monitor.name} ${from}`;
  const hosts = useLive(
    inner.value ? asked : null,
    (cancelled) => ask('hosts', { monitor: monitor.name, window: iso(from) }, cancelled).then(({ body }) => body.data),
    everyMs,
  );
  const onKeyDown = (event) => event.key === 'Escape' && close();
  const isRecords = part === 'records' && Boolean(monitor.log);
  const shown = isRecords ? { from: start, to: start + step } : { from, to: from + monitor.window_ms };
  return html`
    <aside class="drawer ${isRecords ? 'wide' : ''}" role="dialog" tabindex="-1" ref=${panel}
      aria-label=${isRecords ? 'Records behind a point' : 'Hosts of one window'} onKeyDown=${onKeyDown}
      data-test="drawer">
      <header>
        <h2>${clock(shown.from, zone)} – ${clock(shown.to, zone)}</h2>
        <span class="muted">${dateTime(from, zone).slice(0, 10)} ${zoneName(zone, from)}</span>
        <button class="close" onClick=${close} aria-label="Close">✕</button>
      </header>
      ${monitor.log && html`<${Parts} isRecords=${isRecords} change=${change} />`}
      ${isRecords
        ? html`<${RecordsOf} key=${`${start} ${step} ${JSON.stringify(group)}`} monitor=${monitor} from=${start}
            to=${start + step} labels=${group} stored=${windows} zone=${zone} forget=${() => change({ group: null })} />`
        : html`<${HostsPart} ...${{ inner, windows, window, at, step, setPicked, hosts, asked, states, change }} />`}
    </aside>`;
}

/** What the drawer shows. */
function Parts({ isRecords, change }) {
  return html`
    <div class="buttons" role="group" aria-label="What is shown">
      <button aria-pressed=${isRecords} onClick=${() => change({ part: 'records' })}>records</button>
      <button aria-pressed=${!isRecords} onClick=${() => change({ part: null })}>hosts</button>
    </div>`;
}

function HostsPart({ inner, windows, window, at, step, setPicked, hosts, asked, states, change }) {
  return html`
      ${windows.length > 1 && html`<${Walk} ...${{ windows, at, step, setPicked }} />`}
      ${window && html`<${Trust} window=${window} output="" look=${lookOf(window)} /><${Losses} window=${window} />`}
      ${inner.value && !window && html`<${NotStored} />`}
      ${inner.error && html`<p class="problem">${visible(inner.error.message)}</p>`}
      <${HostsOf} hosts=${hosts} asked=${asked} states=${states} change=${change} />`;
}

function NotStored() {
  return html`<p class="trust unknown">
    Nothing is stored for this window. It may lie before the monitor, or was never answered.
  </p>`;
}

function HostsOf({ hosts, asked, states, change }) {
  if (hosts.error)
    return html`<p class="problem">The hosts of this window: ${visible(hosts.error.message)} <button class="link"
      onClick=${hosts.again}>Ask again</button></p>`;
  if (hosts.key !== asked) return html`<p class="muted">Asking for the hosts…</p>`;
  return html`<${HostTable} hosts=${hosts.value.hosts ?? []} states=${states} change=${change} />`;
}

/** The monitor's own windows within the cell. One is asked for as well: its header says more than the cell keeps. */
function useInner(monitor, start, step, everyMs) {
  const query = queryOf(monitor, { from: start, to: start + step });
  const live = useLive(
    query,
    async (cancelled) => {
      const { body } = await ask('query', { q: query }, cancelled);
      return { windows: headersOf(body.data.points) };
    },
    everyMs,
  );
  // Windows of the cell before must not stand under this one's name.
  return live.key === query ? live : { ...live, value: null };
}

function headersOf(points) {
  const seen = new Map();
  for (const point of points) {
    const start = timeMs(point.window);
    seen.set(start, windowOf(point, start));
  }
  return [...seen.values()].sort((a, b) => a.start - b.start);
}

function leastComplete(windows) {
  let least = 0;
  const of = (window) => Math.min(window.percent ?? -1, window.recordsPercent);
  windows.forEach((window, at) => {
    if (of(window) < of(windows[least])) least = at;
  });
  return least;
}

function Walk({ windows, at, step, setPicked }) {
  const least = useMemo(() => leastComplete(windows), [windows]);
  return html`
    <div class="walk" role="group" aria-label="Windows of this step">
      <button disabled=${at === 0} onClick=${() => setPicked(at - 1)} aria-label="Earlier window">‹</button>
      <span>window ${at + 1} of ${windows.length} in this step of ${duration(step)}</span>
      <button disabled=${at === windows.length - 1} onClick=${() => setPicked(at + 1)}
        aria-label="Later window">›</button>
      ${at !== least && html`<button class="link"
        onClick=${() => setPicked(least)}>least complete: ${percent(windows[least].percent)}</button>`}
    </div>`;
}

function Losses({ window }) {
  const losses = Object.entries(window.lost);
  if (!losses.length) return null;
  return html`
    <dl class="losses">
      ${losses.map(([reason, n]) => html`<dt>${grouped(n)} ${words(reason)}</dt><dd>${lossText(reason)}</dd>`)}
    </dl>`;
}
