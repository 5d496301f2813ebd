// Explore: any question in MQL, about stored points or logs, answered while hosts answer: how far it has come, a way to
// end it, and at its end who is missing.
import { html, useEffect, useMemo, useRef, useState } from './dom.js';
import { serverNow } from './api.js';
import { Chart } from './chart.js';
import { gridOf, ranked } from './grid.js';
import { Legend } from './legend.js';
import { chosen } from './legend-choice.js';
import { Outputs } from './toolbar.js';
import { assignColours } from './palette.js';
import { Failed, MissingHosts, Progress, RecordTable, useAsked } from './records.js';
import { missingText } from './states.js';
import { Downloads, Table } from './table.js';
import { count, visible } from './text.js';

const EXAMPLES = [
  ['the points of a monitor', 'select * from sunfire_http since 15m'],
  ['what a log counts', "select count() as n from log '/var/log/app.log' where app = 'shop' every 1m since 1h"],
  [
    'the records of a log',
    "select * from log '/var/log/app.log' where app = 'shop' and line contains 'ERROR' since 10m limit 50",
  ],
  ['the records of a monitor', 'select * from log sunfire_http since 5m order by time desc limit 50'],
];

/** @param {object} props `state` (its `q` is the question), `change(patch, push)` */
export function Explore({ state, change }) {
  const [written, setWritten] = useState(state.q ?? '');
  const [round, setRound] = useState(0);
  const asked = useAsked(state.q, round);
  useEffect(() => setWritten(state.q ?? ''), [state.q]);
  const run = () => {
    const question = written.trim();
    if (!question) return;
    if (question === state.q) setRound(round + 1);
    else change({ q: question, output: null, only: null, hidden: [] }, true);
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  };
  return html`
    <main class="explore">
      <h1>Explore</h1>
      <label for="question">Question in MQL <span class="muted small">Ctrl+Enter asks</span></label>
      <textarea id="question" rows="3" spellcheck=${false} value=${written} onKeyDown=${onKeyDown}
        onInput=${(event) => setWritten(event.target.value)} data-test="question"></textarea>
      <div class="toolbar">
        <button class="primary" onClick=${run}>Ask</button>
        <${Progress} asked=${asked} />
      </div>
      <${Failed} error=${asked.error} />
      ${state.q === null && html`<${Examples} take=${setWritten} />`}
      ${asked.answer && html`<${Answer} key=${state.q} ...${{ asked, state, change }} />`}
      ${asked.phase === 'cancelled' && !asked.answer && html`<p class="muted">It was cancelled before any host had
        answered.</p>`}
    </main>`;
}

function Examples({ take }) {
  return html`
    <ul class="examples" data-test="examples">${EXAMPLES.map(
      ([what, question]) => html`<li><button class="link" onClick=${() => take(question)}>${what}</button>
        <code>${question}</code></li>`,
    )}</ul>`;
}

function Answer({ asked, state, change }) {
  const { answer, phase } = asked;
  const isOver = !answer.asked || answer.asked.final;
  return html`
    ${phase === 'cancelled' && html`<p class="problem" data-test="cancelled">It was cancelled: what is shown is only
      what hosts had answered until then.</p>`}
    <section aria-busy=${phase === 'asking'} class="panel ${isOver ? '' : 'unfinished'}" data-test="answer">
      ${answer.data.records
        ? html`<${RecordTable} answer=${answer} zone=${state.zone} />`
        : html`<${Points} ...${{ answer, state, change }} />`}
    </section>`;
}

function Points({ answer, state, change }) {
  const colours = useRef(new Map());
  const { data } = answer;
  const grid = useMemo(() => {
    // While hosts answer, no window is over, however old: what it shows is being collected.
    const now = answer.asked && !answer.asked.final ? Date.parse(data.from) : serverNow();
    return gridOf(data, { from: now, to: now, now });
  }, [data]);
  const output = grid.outputs.includes(state.output) ? state.output : (grid.outputs[0] ?? '');
  const all = useMemo(() => ranked(grid, output), [grid, output]);
  const { listed, drawn } = useMemo(() => chosen(all, state), [all, state.top, state.only, state.hidden]);
  const slots = assignColours(
    colours.current,
    listed.map((row) => row.group.key),
  );
  const rows = drawn.map((row) => ({ ...row, slot: slots.get(row.group.key) }));
  if (!data.points.length) return html`<p class="muted" data-test="no-points">There are no points in this range.</p>`;
  const zoom = () => {};
  return html`
    <${Overall} data=${data} answer=${answer} />
    <${MissingHosts} answer=${answer} />
    ${(answer.warnings ?? []).map((warning) => html`<p class="problem">${visible(warning)}</p>`)}
    <${Outputs} outputs=${grid.outputs} chosen=${output} choose=${(name) => change({ output: name })} />
    <div id="panel" role="tabpanel" aria-label=${output}>
      <${Chart} ...${{ grid, output, rows, events: [], markAt: -1 }} allRows=${all} zone=${state.zone} stale=${false}
        onZoom=${zoom} onPick=${zoom} />
      ${all.length > 0 && html`<${Legend} ...${{ grid, output, listed, drawn, slots, state, change }} rows=${all}
        zone=${state.zone} />`}
    </div>
    <div class="toolbar"><span class="space"></span><${Downloads} answer=${answer} /></div>
    <${Table} grid=${grid} data=${data} zone=${state.zone} />`;
}

/** How complete all windows together are. */
function Overall({ data, answer }) {
  const windows = new Map(data.points.map((point) => [point.window, point]));
  const over = [...windows.values()].filter(({ state }) => state !== 'open');
  const whole = over.filter(({ completeness: c }) => c.percent === 100 && c.records_percent === 100);
  const missing = {};
  for (const { completeness } of windows.values()) {
    for (const [state, n] of Object.entries(completeness.missing ?? {})) {
      missing[state] = Math.max(missing[state] ?? 0, Number(n));
    }
  }
  const open = windows.size - over.length;
  const isWhole = whole.length === windows.size;
  const said = missingText(missing);
  return html`<p class="trust ${isWhole ? 'complete' : 'below'}" data-test="overall">
    <b>${isWhole ? 'every window is complete' : `${whole.length} of ${count(windows.size, 'window')} complete`}</b>${
      open > 0 ? ` · ${open} still open` : ''
    }${said && ` · missing at most: ${said}`}${answer.asked && !answer.asked.final ? ' · so far' : ''}</p>`;
}
