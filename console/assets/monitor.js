// The main part: one monitor, its chart or table, and the drawer beside it.
import { html, useEffect, useMemo, useRef } from './dom.js';
import { ask, serverNow } from './api.js';
import { Chart } from './chart.js';
import { Drawer } from './drawer.js';
import { duration } from './format.js';
import { gridOf, ranked } from './grid.js';
import { Legend } from './legend.js';
import { chosen } from './legend-choice.js';
import { useLive, useNow } from './live.js';
import { healthOf } from './monitors.js';
import { Age, isStale, NoPoints, StaleBanner } from './notices.js';
import { assignColours } from './palette.js';
import { queryOf, spanOf, stepFor } from './query.js';
import { overflowText } from './states.js';
import { Downloads, Table } from './table.js';
import { Outputs, RangeControl, RefreshControl, ViewControl } from './toolbar.js';
import { count, visible } from './text.js';

const DAY_MS = 86_400_000;

/**
 * @param {object} props `monitor` as the API lists it, `state`, `change(patch, push)`, `back()`, `events`, `attempt`
 *   (counts up when a token was given), `refuse(message)` (a token is needed)
 */
export function Monitor({ monitor, state, change, back, events, attempt, refuse }) {
  const range = state.zoom ?? { last: state.last };
  const query = queryOf(monitor, range);
  const answer = useAnswer(query, monitor, state, attempt);
  useEffect(() => {
    if (answer.error?.kind === 'token') refuse(answer.error.message);
  }, [answer.error]);
  const grid = useMemo(() => answer.value && gridOf(answer.value.data, answer.value.asked), [answer.value]);
  const shown = grid && answer.value.monitor === monitor.name ? grid : null;
  const output = outputOf(monitor, shown, state);
  return html`
    <main class=${state.window === null ? '' : 'with-drawer'}>
      <${Title} monitor=${monitor} />
      <${StaleBanner} live=${answer} everyMs=${state.refresh} zone=${state.zone} />
      <${Outputs} outputs=${shown?.outputs ?? monitor.outputs ?? []} chosen=${output}
        choose=${(name) => change({ output: name }, true)} />
      <div class="toolbar">
        <${RangeControl} state=${state} change=${change} back=${back} />
        <${RefreshControl} state=${state} change=${change} />
        <${Age} live=${answer} everyMs=${state.refresh} />
        <span class="space"></span>
        <${ViewControl} state=${state} change=${change} />
        ${shown && html`<${Downloads} answer=${answer.value} />`}
      </div>
      <section id="panel" role="tabpanel" aria-label=${output}
        aria-busy=${answer.key !== keyOf(query, monitor, attempt)} class="panel">
        ${
          shown
            ? html`<${Panel} ...${{ monitor, grid: shown, answer, output, state, change, events }}
              busy=${answer.key !== keyOf(query, monitor, attempt)} />`
            : html`<div class="empty small-empty">${answer.error ? 'There is no answer to show.' : 'Asking…'}</div>`
        }
      </section>
      <${Warnings} answer=${shown ? answer.value : null} grid=${shown} />
      <p class="query"><code>${visible(query)}</code></p>
      ${
        state.window !== null &&
        html`<${Drawer} monitor=${monitor} start=${state.window} step=${stepFor(spanOf(range), monitor.window_ms)}
        zone=${state.zone} states=${state.states} part=${state.part} group=${state.group} everyMs=${state.refresh && Math.max(5000, state.refresh)}
        change=${change}
        close=${() => closeDrawer(change)} />`
      }
    </main>`;
}

const keyOf = (query, monitor, attempt) => `${query}\n${monitor.version}\n${attempt}`;

function useAnswer(query, monitor, state, attempt) {
  return useLive(
    keyOf(query, monitor, attempt),
    async (cancelled) => {
      const { body, text } = await ask('query', { q: query }, cancelled);
      const now = serverNow();
      const asked = { ...(state.zoom ?? { from: now - state.last, to: now }), now };
      return { data: body.data, warnings: body.warnings ?? [], text, asked, monitor: monitor.name };
    },
    state.refresh,
  );
}

function outputOf(monitor, grid, state) {
  const outputs = grid?.outputs ?? monitor.outputs ?? [];
  return outputs.includes(state.output) ? state.output : (outputs[0] ?? '');
}

function closeDrawer(change) {
  change({ window: null, states: null, part: null, group: null });
  document.querySelector('.chart')?.focus();
}

function Title({ monitor }) {
  useNow();
  const { ageMs, kind } = healthOf(monitor, serverNow());
  const facts = [
    monitor.app && `app ${visible(monitor.app)}`,
    monitor.log && visible(monitor.log),
    `windows of ${duration(monitor.window_ms)}`,
    count(monitor.hosts_expected ?? 0, 'host'),
  ].filter(Boolean);
  return html`
    <div class="monitor-title">
      <h1>${visible(monitor.name)}</h1>
      <span class="muted">${facts.join(' · ')}</span>
      <span class="newest ${kind === 'stalled' ? 'bad' : 'muted'}" data-test="newest">
        ${ageMs === null ? 'no window answered yet' : `newest window ended ${duration(ageMs)} ago`}</span>
      ${monitor.troubles?.map((trouble) => html`<p class="problem" role="alert">${visible(trouble)}</p>`)}
      ${noticesOf(monitor).map((notice) => html`<p class="notice" data-test="notice">${visible(notice)}</p>`)}
    </div>`;
}

/** What its owner should know of a monitor that is well all the same: more groups than are kept, a cost near its limit. */
function noticesOf({ overflow, notices }) {
  return [...(overflow ? [`In its newest window: ${overflowText(overflow)}.`] : []), ...(notices ?? [])];
}

/** Below the chart, since they come and go: what is above must not jump. */
function Warnings({ answer, grid }) {
  const warnings = [
    ...(answer?.warnings ?? []),
    ...(grid?.cut ? ['the range has more windows than can be drawn; choose a shorter one'] : []),
  ];
  if (!warnings.length) return null;
  return html`<ul class="warnings" data-test="warnings">
    ${warnings.map((warning) => html`<li>${visible(warning)}</li>`)}
  </ul>`;
}

function Panel({ monitor, grid, answer, output, state, change, events, busy }) {
  const colours = useRef(new Map());
  const all = useMemo(() => ranked(grid, output), [grid, output]);
  const { listed, drawn } = useMemo(() => chosen(all, state), [all, state.top, state.only, state.hidden]);
  const slots = assignColours(
    colours.current,
    listed.map((row) => row.group.key),
  );
  const pick = (start, part, group) =>
    change({ window: start, states: null, part: part === 'records' && monitor.log ? part : null, group });
  const rows = useMemo(() => drawn.map((row) => ({ ...row, slot: slots.get(row.group.key) })), [drawn]);
  const now = useNow();
  if (!answer.value.data.points.length) return html`<${Nothing} monitor=${monitor} state=${state}
    change=${change} />`;
  if (state.view === 'table')
    return html`<${Table} grid=${grid} data=${answer.value.data} zone=${state.zone} onPick=${pick} />`;
  const markAt = state.window === null ? -1 : Math.floor((state.window - grid.first) / grid.step);
  const zoom = (from, to) => change({ zoom: { from, to }, window: null }, true);
  return html`
    <${Chart} ...${{ grid, output, rows, events, markAt }} allRows=${all} zone=${state.zone}
      stale=${busy || isStale(answer, state.refresh, now)} onZoom=${zoom} onPick=${pick} />
    <${Key} grid=${grid} />
    ${
      all.length
        ? html`<${Legend} ...${{ grid, output, listed, drawn, slots, state, change }} rows=${all}
          zone=${state.zone} />`
        : html`<p class="muted none">No value of ${visible(output)} in this range.</p>`
    }`;
}

/** What the looks mean, as far as they are to be seen. */
function Key({ grid }) {
  const has = (test) => grid.looks.some(test);
  return html`
    <ul class="key" aria-label="What the looks mean">
      <li><i class="k solid"></i>complete and settled</li>
      ${has((look) => look.line === 'dotted') && html`<li><i
        class="k dotted"></i>collecting, or late lines may come</li>`}
      ${has((look) => look.line === 'dashed') && html`<li><i class="k dashed"></i>hosts or records missing</li>`}
      ${has((look) => look.level === 'amber' || look.level === 'red') && html`<li><i
        class="k amber"></i>below 100 %</li>`}
      ${has((look) => look.level === 'red') && html`<li><i class="k red"></i>below 50 %</li>`}
      ${has((look) => look.level === 'unknown' || look.level === 'none') && html`<li><i
        class="k hatch"></i>nothing known</li>`}
    </ul>`;
}

function Nothing({ monitor, state, change }) {
  const { ageMs } = healthOf(monitor, serverNow());
  const ageText =
    ageMs === null
      ? 'This monitor has not answered any window yet.'
      : `Its newest window ended ${duration(ageMs)} ago.`;
  const wider = state.zoom || state.last < DAY_MS ? () => change({ zoom: null, last: DAY_MS }, true) : null;
  return html`<${NoPoints} monitor=${monitor} ageText=${ageText} wider=${wider} />`;
}
