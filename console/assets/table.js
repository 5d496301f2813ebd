// The answer as a table: every point with its completeness, newest first. It is also what the chart is for those who do
// not see it.
import { html, useState } from './dom.js';
import { dateTime, exactish, full, percent, unitOf, zoneName } from './format.js';
import { timeMs } from './grid.js';
import { csvOf, save } from './export.js';
import { missingText, words } from './states.js';
import { count, grouped, groupText, visible } from './text.js';

/** Rows that are shown at once: more make the page slow and are better read from a file. */
const ROWS_STEP = 200;

export function Downloads({ answer }) {
  const { data } = answer;
  const name = `${data.monitor}-${data.from}`;
  return html`
    <div class="buttons" role="group" aria-label="Download">
      <button onClick=${() => save(`${name}.csv`, 'text/csv', csvOf(data))}>CSV</button>
      <button onClick=${() => save(`${name}.json`, 'application/json', answer.text)}>JSON</button>
    </div>`;
}

export function Table({ grid, data, zone, onPick }) {
  const [rows, setRows] = useState(ROWS_STEP);
  const points = data.points.slice(-rows).reverse();
  return html`
    <div class="table-box" data-test="table" tabindex="0" role="region" aria-label="Points of ${grid.monitor}">
      <table class="points">
        <thead><tr>
          <th scope="col">window (${zoneName(zone, grid.to)})</th>
          ${grid.groupBy.map((name) => html`<th scope="col">${visible(name)}</th>`)}
          ${grid.outputs.map((name) => html`<th scope="col" class="number">${visible(name)}</th>`)}
          <th scope="col" class="number">complete</th><th scope="col" class="number">hosts</th>
          <th scope="col">missing</th><th scope="col">lost</th><th scope="col">state</th>
        </tr></thead>
        <tbody>${points.map((point) => html`<${PointRow} point=${point} grid=${grid} zone=${zone}
          onPick=${onPick} />`)}</tbody>
      </table>
      ${
        data.points.length > rows &&
        html`
        <p class="rest">${count(rows, 'row')} of ${grouped(data.points.length)}.
          <button class="link" onClick=${() => setRows(rows + ROWS_STEP)}>Show more</button>${' '}
          A download has them all.</p>`
      }
    </div>`;
}

function PointRow({ point, grid, zone, onPick }) {
  const c = point.completeness;
  const start = timeMs(point.window);
  const below = c.percent !== 100 || c.records_percent < 100;
  const none = grid.groupBy.length > 0 && !Object.keys(point.group).length;
  return html`
    <tr>
      <td>${
        onPick
          ? html`<button class="link time"
              onClick=${() => onPick(start, 'records', none ? null : grid.groupBy.map((name) => point.group[name] ?? null))}>
              ${dateTime(start, zone)}</button>`
          : dateTime(start, zone)
      }</td>
      ${grid.groupBy.map((name) => html`<td>${none ? html`<em>no groups</em>` : groupText(point.group[name])}</td>`)}
      ${grid.outputs.map(
        (name) => html`<td class="number" title=${full(point.values[name], unitOf(name))}>
        ${exactish(point.values[name], unitOf(name))}</td>`,
      )}
      <td class="number">${below ? html`<span
        class="badge ${point.state === 'open' ? '' : 'below'}">${percent(c.percent)}</span>` : '100 %'}</td>
      <td class="number">${c.ok ?? '?'}/${c.percent === null ? '?' : c.expected}</td>
      <td>${missingText(c.missing)}</td>
      <td>${missingText(c.lost)}</td>
      <td class="muted">${words(point.state)}</td>
    </tr>`;
}
