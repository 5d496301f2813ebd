// What the cursor is on: the value of each line, and how far to trust it.
import { html } from './dom.js';
import { clock, duration, exactish, percent, unitOf } from './format.js';
import { startOf, timeMs, valueAt } from './grid.js';
import { isComplete } from './look.js';
import { groupName, hostsText } from './speech.js';
import { flagText, lostText, windowStateText } from './states.js';
import { grouped, visible } from './text.js';

/** Lines in a tooltip; it must fit beside the cursor. */
const ROWS_MAX = 10;
/** Events of one window that are named. */
const EVENTS_MAX = 3;

export function Tooltip({ cursor, grid, output, rows, zone, events }) {
  if (!cursor || cursor.at >= grid.length) return null;
  const window = grid.windows[cursor.at];
  const start = startOf(grid, cursor.at);
  // On the side of the cursor that has more room, so that it never covers the column it speaks of.
  const right = cursor.left > cursor.width / 2;
  const style = right
    ? { right: `${cursor.width - cursor.left + 14}px`, top: `${cursor.top + 6}px` }
    : { left: `${cursor.left + 14}px`, top: `${cursor.top + 6}px` };
  const happened = events.filter((event) => {
    const time = timeMs(event.time);
    return time >= start && time < start + grid.step;
  });
  return html`
    <div class="tooltip" style=${style} data-test="tooltip">
      <div class="when">${clock(start, zone)} – ${clock(start + grid.step, zone)}${' '}
        <span>${duration(grid.step)}</span></div>
      ${
        window
          ? html`
        <${Values} grid=${grid} output=${output} rows=${rows} at=${cursor.at} />
        <${Trust} window=${window} output=${output} look=${grid.looks[cursor.at]} />`
          : html`<div class="trust unknown">
            ${grid.looks[cursor.at].dim ? 'not answered yet' : 'nothing was answered for this window'}</div>`
      }
      ${happened.slice(-EVENTS_MAX).map((event) => html`<div
        class="event">${visible(event.kind)}: ${visible(event.text)}</div>`)}
    </div>`;
}

function Values({ grid, output, rows, at }) {
  const unit = unitOf(output);
  const valued = rows
    .map((row) => ({ row, value: valueAt(grid, row.group, output, at) }))
    .sort((a, b) => Number(b.value ?? -Infinity) - Number(a.value ?? -Infinity));
  return html`
    <table><tbody>
      ${valued.slice(0, ROWS_MAX).map(
        ({ row, value }) => html`
        <tr key=${row.group.key}>
          <td><i class="swatch s${(row.slot % 8) + 1}"></i>${groupName(row.group, output)}</td>
          <td class="number">${value === null ? html`<em>no value</em>` : exactish(value, unit)}</td>
        </tr>`,
      )}
      ${valued.length > ROWS_MAX && html`<tr><td colspan="2"
        class="muted">and ${valued.length - ROWS_MAX} more</td></tr>`}
    </tbody></table>`;
}

/** How complete and how final, in one or a few lines. */
export function Trust({ window, output, look }) {
  const lost = lostText(window.lost);
  const bad = window.badValue[output];
  const complete = window.percent === null ? 'completeness unknown' : percent(window.percent);
  const revised = window.revision > 1 && window.windowsExpected === 1;
  const stuck = window.state === 'open' && look.level !== 'pending';
  const state = stuck ? 'not settled: windows of this step are missing' : windowStateText(window.state);
  const least =
    window.minPercent !== null && window.minPercent < window.percent ? `, at least ${window.minPercent} %` : '';
  const level = look.level === 'pending' ? 'pending' : isComplete(window) ? 'complete' : 'below';
  return html`
    <div class="trust ${level}" data-test="trust">
      <div><b>${complete}</b>${least} · ${hostsText(window)}</div>
      ${lost && html`<div>lost records: ${lost} · ${window.recordsPercent} % of records counted</div>`}
      ${bad && html`<div>${grouped(bad)} values were no numbers</div>`}
      ${window.flags.map((flag) => html`<div>${flagText(flag, window.overflow)}</div>`)}
      <div class="muted">${state}${revised ? ` · revision ${window.revision}` : ''}</div>
    </div>`;
}
