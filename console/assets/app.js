// The page's root: what is chosen, what the server lists, and which part is shown.
import { html, render, useEffect, useState } from './dom.js';
import { ask, serverNow } from './api.js';
import { Cluster } from './cluster.js';
import { Explore } from './explore.js';
import { Hosts } from './files.js';
import { useLive } from './live.js';
import { Monitor } from './monitor.js';
import { Sidebar, sortedMonitors } from './monitors.js';
import { NoMonitors, StaleBanner, TokenDialog } from './notices.js';
import { FORGET_GROUPS, UrlState } from './state.js';
import { visible } from './text.js';
import { Preferences } from './toolbar.js';

/** The list of monitors need not follow the chart's fastest refresh. */
const LISTING_MS_MIN = 2000;

const url = new UrlState();

function App() {
  const [state, setState] = useState(url.value);
  const [attempt, setAttempt] = useState(0);
  const [refused, setRefused] = useState(null);
  url.listener = setState;
  const change = (patch, push) => url.set(patch, push);
  const listing = useListing(listingEvery(state), attempt);
  const monitor = chosenMonitor(listing.value, state);
  const isCluster = state.view === 'cluster';
  const isHosts = state.view === 'hosts';
  const isExplore = state.view === 'explore';
  const isElsewhere = isCluster || isHosts || isExplore;
  useEffect(() => {
    const name = isCluster ? 'Cluster' : isHosts ? 'Hosts' : isExplore ? 'Explore' : monitor?.name;
    document.title = name ? `${name} · Sunfire` : 'Sunfire';
  }, [monitor?.name, isCluster, isHosts, isExplore]);
  const asking = listing.error?.kind === 'token' ? listing.error.message : refused;
  const admitted = () => {
    setRefused(null);
    setAttempt(attempt + 1);
  };
  const choose = (name, window = null) =>
    change({ ...FORGET_GROUPS, monitor: name, output: null, zoom: null, window, ...(isElsewhere && { view: 'chart' }) }, true);
  return html`
    <div class="page">
      <header class="top">
        <a class="brand" href="./"><img src="assets/icon.svg" alt="" width="18" height="18" />Sunfire</a>
        <${Epoch} cluster=${listing.value?.cluster} />
        <a class="to-monitors" href="#monitors">Monitors</a>
        <button class="link to-cluster" aria-current=${isCluster ? 'page' : undefined}
          onClick=${() => change({ view: isCluster ? 'chart' : 'cluster', window: null }, true)}>
          ${isCluster ? 'Chart' : 'Cluster'}</button>
        <button class="link to-hosts" aria-current=${isHosts ? 'page' : undefined}
          onClick=${() => change({ view: isHosts ? 'chart' : 'hosts', window: null }, true)}>
          ${isHosts ? 'Chart' : 'Hosts'}</button>
        <button class="link to-explore" aria-current=${isExplore ? 'page' : undefined}
          onClick=${() => change({ view: isExplore ? 'chart' : 'explore', window: null }, true)}>
          ${isExplore ? 'Chart' : 'Explore'}</button>
        <span class="space"></span>
        <${Preferences} state=${state} change=${change} />
      </header>
      ${(!monitor || isElsewhere) && html`<${StaleBanner} live=${listing}
        everyMs=${listingEvery(state)} zone=${state.zone} />`}
      <${Body} ...${{ listing, monitor, state, change, choose, attempt }} refuse=${setRefused} />
      ${asking && html`<${TokenDialog} key=${attempt} message=${asking} done=${admitted} />`}
    </div>`;
}

function Body({ listing, monitor, state, change, choose, attempt, refuse }) {
  const value = listing.value;
  if (!value) return html`<p class="empty muted">${listing.error ? '' : 'Asking the server…'}</p>`;
  const main = state.view === 'cluster'
    ? html`<${Cluster} listing=${value} zone=${state.zone} choose=${choose} />`
    : state.view === 'explore'
    ? html`<${Explore} key=${attempt} ...${{ state, change }} />`
    : state.view === 'hosts'
    ? html`<${Hosts} ...${{ state, change, attempt }} />`
    : monitor
    ? html`<${Monitor} key=${monitor.name} ...${{ monitor, state, change, attempt, refuse }}
      back=${() => url.back()} events=${value.events} />`
    : html`<main><${Missing} state=${state} monitors=${value.monitors} /></main>`;
  return html`
    <div class="columns">
      <${Sidebar} listing=${value} live=${listing} everyMs=${listingEvery(state)}
        chosen=${['cluster', 'hosts', 'explore'].includes(state.view) ? null : monitor?.name}
        zone=${state.zone} choose=${choose} />
      ${main}
    </div>`;
}

function Missing({ state, monitors }) {
  if (!monitors.length) return html`<${NoMonitors} />`;
  return html`<section class="empty" data-test="missing"><h1>No monitor ${visible(state.monitor)}</h1>
    <p>It may have been removed or renamed. Choose another one.</p></section>`;
}

/** The monitor that the URL names; without a name, the first of the list. */
function chosenMonitor(value, state) {
  const monitors = value?.monitors ?? [];
  if (state.monitor) return monitors.find((monitor) => monitor.name === state.monitor) ?? null;
  return firstOf(monitors);
}

/** The first monitor stays chosen though the list is sorted anew, so that the page does not jump by itself. */
let firstName = null;
function firstOf(monitors) {
  const first =
    monitors.find((monitor) => monitor.name === firstName) ?? sortedMonitors(monitors, serverNow())[0] ?? null;
  firstName = first?.name ?? null;
  return first;
}

const listingEvery = ({ refresh }) => refresh && Math.max(LISTING_MS_MIN, refresh);

function useListing(every, attempt) {
  return useLive(
    `listing ${attempt}`,
    async (cancelled) => {
      const [monitors, cluster, events] = await Promise.all([
        ask('monitors', {}, cancelled),
        // Monitors are shown though these two fail; what they would say is then left out.
        ask('cluster', {}, cancelled).catch(() => null),
        ask('events', {}, cancelled).catch(() => null),
      ]);
      return {
        monitors: monitors.body.data.monitors ?? [],
        mistakes: monitors.body.data.mistakes ?? [],
        cluster: cluster?.body.data ?? null,
        events: events?.body.data.events ?? [],
      };
    },
    every,
  );
}

function Epoch({ cluster }) {
  return cluster && html`<span class="muted">topology ${String(cluster.epoch)}</span>`;
}

render(html`<${App} />`, document.getElementById('app'));
