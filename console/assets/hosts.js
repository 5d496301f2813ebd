// The hosts of a window as a table: what needs attention first, filtered by state or by a text.
import { html, useState } from './dom.js';
import { hostStateRank, hostStateText, isOk, words } from './states.js';
import { count, grouped, visible } from './text.js';

/** Rows shown at once; a monitor may have ten thousand hosts. */
const ROWS_STEP = 200;

export function HostTable({ hosts, states, change }) {
  const [text, setText] = useState('');
  const [rows, setRows] = useState(ROWS_STEP);
  const sorted = [...hosts].sort(byAttention);
  const found = sorted.filter((host) => matches(host, states, text.trim().toLowerCase()));
  return html`
    <div class="hosts">
      <${StateFilter} hosts=${hosts} states=${states} change=${change} />
      ${
        hosts.length > 8 &&
        html`<input type="search" placeholder="host, label or detail" aria-label="Find hosts"
        value=${text} onInput=${(event) => setText(event.target.value)} />`
      }
      <table>
        <thead><tr><th scope="col">host</th><th scope="col">state</th></tr></thead>
        <tbody>${found.slice(0, rows).map((host) => html`<${HostRow} key=${host.host} host=${host} />`)}</tbody>
      </table>
      ${!hosts.length && html`<p class="muted">
        No host was expected in this window, or the inventory of that time is not known.</p>`}
      ${hosts.length > 0 && !found.length && html`<p class="muted">No host is so.</p>`}
      ${
        found.length > rows &&
        html`<p class="rest">${count(rows, 'host')} of ${grouped(found.length)}.
        <button class="link" onClick=${() => setRows(rows + ROWS_STEP)}>Show more</button></p>`
      }
    </div>`;
}

function byAttention(a, b) {
  return hostStateRank(a.state) - hostStateRank(b.state) || (a.host < b.host ? -1 : 1);
}

function matches(host, states, text) {
  if (states === 'missing' ? isOk(host.state) : states && host.state !== states) return false;
  if (!text) return true;
  const labels = Object.entries(host.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return [host.host, host.detail ?? '', ...labels].some((part) => part.toLowerCase().includes(text));
}

/** One button a state that occurs, with how many; `missing` is all that are not ok. */
function StateFilter({ hosts, states, change }) {
  const counts = new Map();
  for (const { state } of hosts) counts.set(state, (counts.get(state) ?? 0) + 1);
  const names = [...counts.keys()].sort((a, b) => hostStateRank(a) - hostStateRank(b));
  const missing = hosts.filter((host) => !isOk(host.state)).length;
  const button = (name, label, n) => html`
    <button aria-pressed=${states === name} class=${name && name !== 'missing' ? `state ${classOf(name)}` : ''}
      onClick=${() => change({ states: name })}>${label} <b>${grouped(n)}</b></button>`;
  return html`
    <div class="buttons filter" role="group" aria-label="Filter hosts by state" data-test="states">
      ${button(null, 'all', hosts.length)}
      ${missing > 0 && button('missing', 'missing', missing)}
      ${names.map((name) => button(name, words(name), counts.get(name)))}
    </div>`;
}

/** Three classes are told apart: fine, waiting, and missing. */
function classOf(state) {
  if (isOk(state)) return 'fine';
  return state === 'open' ? 'waiting' : 'missing';
}

function HostRow({ host }) {
  const labels = Object.entries(host.labels ?? {});
  return html`
    <tr>
      <td>${visible(host.host)}${
        labels.length > 0 &&
        html`<div class="muted small">
        ${labels.map(([name, value]) => `${visible(name)}=${visible(value)}`).join(' ')}</div>`
      }</td>
      <td><span class="state ${classOf(host.state)}" title=${hostStateText(host.state)}>${words(host.state)}</span>
        <div class="small">${host.detail ? visible(host.detail) : html`<span
          class="muted">${hostStateText(host.state)}</span>`}</div></td>
    </tr>`;
}
