// The left column: mistakes of the configuration, then monitors, those in trouble first, then nodes and events.
import { html, useState } from './dom.js';
import { serverNow } from './api.js';
import { clock, duration } from './format.js';
import { timeMs } from './grid.js';
import { useNow } from './live.js';
import { isStale } from './notices.js';
import { missingText } from './states.js';
import { count, visible } from './text.js';

/** From so many monitors on, there is a search field. */
const SEARCH_FROM = 9;
/** Beyond grace, so many windows without a newer one are a stall; short windows get some seconds more. */
const STALL_WINDOWS = 4;
const STALL_LEAST_MS = 30_000;
/** Events listed; the API keeps more. */
const EVENTS_MAX = 30;

/** How a monitor stands (`trouble`, `stalled`, `below`, `waiting`, `fine`; worst first) and its newest window's age. */
export function healthOf(monitor, now) {
  const newest = timeMs(monitor.newest);
  const ageMs = newest === null ? null : Math.max(0, now - newest - monitor.window_ms);
  const patience = Math.max(STALL_WINDOWS * monitor.window_ms, STALL_LEAST_MS) + (monitor.grace_ms ?? 0);
  let kind = ageMs === null ? 'waiting' : 'fine';
  if (monitor.troubles?.length) kind = 'trouble';
  else if (ageMs !== null && ageMs > patience) kind = 'stalled';
  else if (monitor.below > 0) kind = 'below';
  return { kind, ageMs };
}

const ORDER = ['trouble', 'stalled', 'below', 'waiting', 'fine'];

/** Monitors that need attention first, else by name. */
export function sortedMonitors(monitors, now) {
  const rank = (monitor) => ORDER.indexOf(healthOf(monitor, now).kind);
  return [...monitors].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

export function Sidebar({ listing, live, everyMs, chosen, zone, choose }) {
  const [text, setText] = useState('');
  const { cluster, events } = listing;
  const now = serverNow();
  const all = sortedMonitors(listing.monitors ?? [], now);
  const found = all.filter((monitor) => monitor.name.toLowerCase().includes(text.trim().toLowerCase()));
  return html`
    <nav class="sidebar" id="monitors" aria-label="Monitors">
      <${Mistakes} mistakes=${listing.mistakes ?? []} />
      <h2>Monitors <span class="muted">${all.length}</span></h2>
      ${
        all.length >= SEARCH_FROM &&
        html`<input type="search" placeholder="Find a monitor" aria-label="Find a monitor"
        value=${text} onInput=${(event) => setText(event.target.value)} />`
      }
      <${Stale} live=${live} everyMs=${everyMs} />
      <ul class="monitors" data-test="monitors">
        ${found.map((monitor) => html`<${Entry} key=${monitor.name} ...${{ monitor, now, choose }}
          current=${monitor.name === chosen} />`)}
      </ul>
      ${cluster ? html`<${Nodes} cluster=${cluster} />` : html`<p class="nodes bad">The nodes are not known.</p>`}
      ${events?.length > 0 && html`<${Events} events=${events} zone=${zone} />`}
    </nav>`;
}

/** A list that is not being updated must not look well. */
function Stale({ live, everyMs }) {
  const now = useNow();
  if (!isStale(live, everyMs, now)) return null;
  const why = live.error ? `: ${visible(live.error.message)}` : '';
  return html`<p class="problem small" data-test="stale-list">
    This list is ${duration(now - live.at)} old and is not being updated${why}.</p>`;
}

function Mistakes({ mistakes }) {
  if (!mistakes.length) return null;
  return html`
    <section class="mistakes" role="alert" data-test="mistakes">
      <h2>${count(mistakes.length, 'mistake')} in the configuration</h2>
      <p class="small">The last good version stays in force.</p>
      ${mistakes.map(
        (mistake) => html`
        <div class="mistake">
          <code>${visible(mistake.file)}:${mistake.line}:${mistake.column}</code>
          <div>${visible(mistake.message)}</div>
          ${mistake.hint && html`<div class="hint">${visible(mistake.hint)}</div>`}
        </div>`,
      )}
    </section>`;
}

function Entry({ monitor, now, current, choose }) {
  const { kind, ageMs } = healthOf(monitor, now);
  return html`
    <li>
      <button class="monitor ${kind}" aria-current=${current ? 'page' : undefined}
        onClick=${() => choose(monitor.name)}>
        <span class="mark" aria-hidden="true"></span>
        <span class="title">${visible(monitor.name)}</span>
        <span class="age">${ageMs === null ? '' : duration(ageMs)}</span>
        <span class="health">${healthText(monitor, kind, ageMs)}</span>
      </button>
    </li>`;
}

function healthText(monitor, kind, ageMs) {
  if (kind === 'trouble') return visible(monitor.troubles[0]);
  if (kind === 'stalled') return `no new window for ${duration(ageMs)}`;
  if (kind === 'waiting') return `${count(monitor.hosts_expected ?? 0, 'host')}, nothing answered yet`;
  if (kind === 'fine') return `${count(monitor.hosts_expected ?? 0, 'host')}, complete`;
  const newest = monitor.below_windows?.at(0);
  const why = newest ? missingText(newest.missing) : '';
  return `${count(monitor.below, 'window')} below 100 %${why ? ` · ${why}` : ''}`;
}

function Nodes({ cluster }) {
  const bad = cluster.nodes.filter((node) => node.trouble);
  return html`
    <details class="nodes" open=${bad.length > 0} data-test="nodes">
      <summary>${count(cluster.nodes.length, 'node')}${bad.length ? html`, <b
        class="bad">${bad.length} in trouble</b>` : ', all answer'}</summary>
      <ul>${cluster.nodes.map(
        (node) => html`
        <li><b>${visible(node.role)}</b> ${visible(node.node)} <span
          class="muted">${visible(node.address ?? '')}</span>
          ${node.trouble && html`<div class="bad">${visible(node.trouble)}</div>`}</li>`,
      )}</ul>
    </details>`;
}

function Events({ events, zone }) {
  const newest = events.slice(-EVENTS_MAX).reverse();
  return html`
    <details class="events"><summary>${count(events.length, 'event')}</summary>
      <ul>${newest.map(
        (event) => html`
        <li><time>${clock(timeMs(event.time), zone)}</time> <b>${visible(event.kind)}</b> ${visible(event.text)}</li>`,
      )}</ul>
    </details>`;
}
