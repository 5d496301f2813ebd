// The cluster at a glance, for whoever was woken: one sentence that says how it stands, then nodes, who owns what, and
// the windows below 100 % with the reason.
import { html } from './dom.js';
import { serverNow } from './api.js';
import { numberOf } from './exact.js';
import { clock, dateTime, duration, short } from './format.js';
import { timeMs } from './grid.js';
import { healthOf, sortedMonitors } from './monitors.js';
import { missingText } from './states.js';
import { count, visible } from './text.js';

/** Windows named for a monitor; its chart has them all. */
const WINDOWS_MAX = 5;
/** Events listed. */
const EVENTS_MAX = 40;
const LIVES = { live: 'answers', dead: 'dead', unknown: 'not heard yet' };
const ROLES = { brain: 'Brain', reduce: 'Reduces', map: 'Maps' };

/** Everything that is wrong, worst first, each as `{ text, monitor }`. Pure. */
export function troublesOf({ cluster, monitors, mistakes }, now) {
  const troubles = [];
  if (!cluster) troubles.push({ text: 'The Brain does not answer: what is shown of nodes is not known now.' });
  for (const node of cluster?.nodes ?? []) {
    // One that was not heard yet has just begun.
    const isDown = node.life === 'dead';
    if (isDown || node.trouble) {
      const why = node.trouble ? `: ${node.trouble}` : '';
      troubles.push({ text: `${node.role} ${node.node} ${isDown ? LIVES[node.life] ?? node.life : 'is in trouble'}${why}` });
    }
  }
  if (mistakes.length) troubles.push({ text: `${count(mistakes.length, 'mistake')} in the configuration` });
  for (const monitor of sortedMonitors(monitors, now)) {
    const { kind, ageMs } = healthOf(monitor, now);
    if (kind === 'trouble') troubles.push({ text: `${monitor.name}: ${monitor.troubles[0]}`, monitor });
    else if (kind === 'stalled') troubles.push({ text: `${monitor.name}: no new window for ${duration(ageMs)}`, monitor });
    else if (kind === 'below') {
      troubles.push({ text: `${monitor.name}: ${count(monitor.below, 'window')} below 100 %`, monitor });
    }
  }
  return troubles;
}

/** `121 inputs serve 141 uses: 14 % of pulls saved`; empty if nothing is pulled. Pure. */
export function sharingText(sharing) {
  if (!sharing?.inputs) return '';
  const saved = sharing.saved_percent ?? 0;
  return `${count(sharing.inputs, 'log')} pulled for ${count(sharing.inputs_unshared, 'use')} by monitors: ${saved} % of pulls saved`;
}

export function Cluster({ listing, zone, choose }) {
  const { cluster, monitors, events } = listing;
  const now = serverNow();
  return html`
    <main class="cluster" data-test="cluster">
      <h1>Cluster</h1>
      <${Verdict} troubles=${troublesOf(listing, now)} listing=${listing} choose=${choose} />
      ${cluster && html`<${Nodes} nodes=${cluster.nodes} now=${now} />`}
      <${Owners} monitors=${monitors} sharing=${cluster?.sharing} choose=${choose} />
      <${Below} monitors=${monitors} zone=${zone} choose=${choose} />
      ${events.length > 0 && html`<${Events} events=${events} zone=${zone} />`}
    </main>`;
}

function Verdict({ troubles, listing, choose }) {
  const { cluster, monitors } = listing;
  if (!troubles.length) {
    const size = `${count(cluster.nodes.length, 'node')}, ${count(monitors.length, 'monitor')}`;
    return html`<p class="verdict well" role="status" data-test="verdict">All is well: ${size}, nothing below 100 %.</p>`;
  }
  return html`
    <section class="verdict" role="status" data-test="verdict">
      <b>${count(troubles.length, 'thing')} to look at</b>
      <ul>${troubles.map(
        ({ text, monitor }) => html`
        <li>${monitor ? html`<button class="link" onClick=${() => choose(monitor.name)}>${visible(text)}</button>` : visible(text)}</li>`,
      )}</ul>
    </section>`;
}

function Nodes({ nodes, now }) {
  const known = Object.keys(ROLES);
  const rank = (node) => known.indexOf(node.role);
  const sorted = [...nodes].sort((a, b) => rank(a) - rank(b));
  return html`
    <section><h2>Nodes</h2>
      <div class="scroll"><table class="plain" data-test="cluster-nodes">
        <thead><tr><th>role</th><th>node</th><th>address</th><th>state</th><th>since</th><th>work</th></tr></thead>
        <tbody>${sorted.map(
          (node) => html`
          <tr class=${node.life === 'live' && !node.trouble ? '' : 'down'}>
            <td>${visible(node.role)}</td><td class="short">${visible(node.node)}</td><td class="muted">${visible(node.address ?? '')}</td>
            <td>${LIVES[node.life] ?? visible(node.life)}${node.trouble && html`<div class="bad">${visible(node.trouble)}</div>`}${node.drained && html`<div class="notice">${visible(node.drained)}</div>`}</td>
            <td class="short">${node.since ? duration(Math.max(0, now - timeMs(node.since))) : ''}</td>
            <td>${workText(node)}</td>
          </tr>`,
        )}</tbody>
      </table></div>
    </section>`;
}

/** What a node does, in a few words. */
function workText({ role, figures = {} }) {
  const of = (name) => numberOf(figures[name]) ?? 0;
  if (role === 'map' && 'pulls' in figures) {
    const failed = of('pulls_failed') ? `, ${short(of('pulls_failed'))} failed` : '';
    return `${count(of('inputs'), 'log')}, ${short(of('pulls'))} pulls${failed}, ${short(of('bytes'), 'B')} read, ${short(of('records'))} records, ${short(of('held_bytes') + of('counting_bytes'), 'B')} held`;
  }
  if (role === 'reduce') {
    const refused = of('writes_refused') ? `, ${short(of('writes_refused'))} refused` : '';
    return `${count(of('monitors'), 'monitor')}, ${short(of('revisions_written'))} revisions written${refused}`;
  }
  return role === 'brain' ? `topology ${of('epoch')}` : '';
}

function Owners({ monitors, sharing, choose }) {
  if (!monitors.length) return null;
  return html`
    <section><h2>Who owns what</h2>
      <p class="muted" data-test="sharing">${sharingText(sharing)}</p>
      <div class="scroll"><table class="plain" data-test="owners">
        <thead><tr><th>monitor</th><th>application</th><th>merged by</th><th>counted by</th></tr></thead>
        <tbody>${monitors.map(
          (monitor) => html`
          <tr><td><button class="link" onClick=${() => choose(monitor.name)}>${visible(monitor.name)}</button></td>
            <td>${visible(monitor.app ?? '')}</td><td>${visible(monitor.reduce ?? 'nobody')}</td>
            <td>${(monitor.shards ?? []).map((shard) => `${visible(shard.map)} (${count(shard.hosts, 'host')})`).join(', ') || 'nobody'}</td></tr>`,
        )}</tbody>
      </table></div>
    </section>`;
}

function Below({ monitors, zone, choose }) {
  const lacking = monitors.filter((monitor) => monitor.below > 0);
  return html`
    <section><h2>Windows below 100 %</h2>
      ${!lacking.length && html`<p class="muted">None.</p>`}
      ${lacking.map(
        (monitor) => html`
        <h3><button class="link" onClick=${() => choose(monitor.name)}>${visible(monitor.name)}</button>
          <span class="muted">${count(monitor.below, 'window')}</span></h3>
        <ul class="lacking">${(monitor.below_windows ?? []).slice(0, WINDOWS_MAX).map(
          (below) => html`
          <li><button class="link" onClick=${() => choose(monitor.name, timeMs(below.window))}><time>${dateTime(timeMs(below.window), zone)}</time></button>
            ${below.ok} of ${below.expected} hosts · ${missingText(below.missing)}</li>`,
        )}</ul>`,
      )}
    </section>`;
}

function Events({ events, zone }) {
  return html`
    <section><h2>What happened</h2>
      <ul class="happened">${events.slice(-EVENTS_MAX).reverse().map(
        (event) => html`
        <li><time>${clock(timeMs(event.time), zone)}</time> <b>${visible(event.kind)}</b> ${visible(event.text)}</li>`,
      )}</ul>
    </section>`;
}
