// The legend: one row a line, with its last value and how complete that was; toggles and isolates lines.
import { html } from './dom.js';
import { clock, percent, short, unitOf } from './format.js';
import { startOf } from './grid.js';
import { groupName } from './speech.js';
import { count, groupText, visible } from './text.js';
import { TOPS } from './state.js';

export function Legend({ grid, output, rows, listed, drawn, slots, state, zone, change }) {
  const columns = grid.groupBy
    .map((name, index) => ({ name, index }))
    .filter(({ index }) => listed.some((row) => row.group.labels[index] !== null));
  const rest = rows.length - listed.length;
  return html`
    <div class="legend" data-test="legend">
      <table>
        <thead><tr>
          <th class="check"><span class="unseen">shown</span></th>
          ${columns.length ? columns.map(({ name }) => html`<th scope="col">${visible(name)}</th>`) : html`<th
            scope="col">line</th>`}
          <th scope="col" class="number">last</th><th scope="col" class="number">greatest</th>
        </tr></thead>
        <tbody>
          ${listed.map(
            (row) => html`<${Row} key=${row.group.key} ...${{ grid, output, row, columns, state, zone, change }}
            slot=${slots.get(row.group.key) ?? 0} shown=${drawn.includes(row)} />`,
          )}
        </tbody>
      </table>
      ${rest > 0 && html`<${Rest} rest=${rest} rows=${rows} output=${output} state=${state} change=${change} />`}
    </div>`;
}

function Row({ grid, output, row, columns, slot, shown, state, zone, change }) {
  const { key } = row.group;
  const name = groupName(row.group, output);
  const isolated = state.only === key;
  const toggle = () => {
    const hidden = shown && !isolated ? [...state.hidden, key] : state.hidden.filter((other) => other !== key);
    change({ only: null, hidden });
  };
  const isolate = () => change({ only: isolated ? null : key });
  const labels = columns.length ? columns.map(({ index }) => groupText(row.group.labels[index])) : [visible(output)];
  return html`
    <tr class=${shown ? '' : 'off'}>
      <td class="check"><input type="checkbox" checked=${shown} onChange=${toggle} aria-label="show ${name}"
        class="s${(slot % 8) + 1}" /></td>
      ${labels.map(
        (label, index) =>
          html`<td>${
            index === 0
              ? html`<button class="name" aria-pressed=${isolated} onClick=${isolate}
            title=${isolated ? 'show all lines' : 'show this line alone'}>${label}</button>`
              : label
          }</td>`,
      )}
      <td class="number"><${Last} grid=${grid} row=${row} output=${output} zone=${zone} /></td>
      <td class="number">${short(row.max, unitOf(output))}</td>
    </tr>`;
}

/** The last value of a closed window; how complete it is, where it is not, and its time if it is an old one. */
function Last({ grid, row, output, zone }) {
  if (row.lastAt < 0) return html`<span class="muted">collecting…</span>`;
  const window = grid.windows[row.lastAt];
  const newest = grid.windows.findLastIndex((other, at) => other && grid.looks[at].level !== 'pending');
  const worst = window.percent === 100 ? window.recordsPercent : window.percent;
  const incomplete = grid.looks[row.lastAt].hollow;
  return html`
    ${newest !== row.lastAt && html`<span class="muted">${clock(startOf(grid, row.lastAt), zone)} </span>`}
    ${incomplete && html`<span class="badge below">${percent(worst)}</span> `}
    ${short(row.last, unitOf(output))}`;
}

function Rest({ rest, rows, output, state, change }) {
  const more = TOPS.find((top) => top > state.top);
  const fewer = TOPS.findLast((top) => top < state.top);
  return html`
    <p class="rest" data-test="rest">
      ${state.top} of ${count(rows.length, 'group')}, those with the greatest sum of ${visible(output)} in this${' '}
      range;${' '}
      ${rest} not drawn.
      ${more && html` <button class="link" onClick=${() => change({ top: more })}>Draw ${more}</button>`}
      ${fewer && html` <button class="link" onClick=${() => change({ top: fewer })}>Draw ${fewer}</button>`}
      ${' '}The table has them all.
    </p>`;
}
