// The records behind a point: asked of the logs themselves while it is looked at, with how far that has come, how
// complete it is, and who is missing. Whatever a record says is shown as text.
import { html, useEffect, useState } from './dom.js';
import { follow } from './api.js';
import { dateTime, zoneName } from './format.js';
import { conditionOf, RECORDS, recordsQuery } from './query.js';
import { difference } from './speech.js';
import { lostText, missingText, words } from './states.js';
import { count, grouped, groupText, visible } from './text.js';

/** Hosts that are named at first. */
const MISSING_STEP = 20;

/**
 * Asks a question to logs, once, and tells each moment of its answer. A change of the question drops the one under way,
 * and so does going away: the server then reads no more.
 * @param {string|null} query null asks nothing
 * @param {number} round another number asks again
 * @returns {{answer: any, error: Error|null, phase: 'idle'|'asking'|'done'|'cancelled'|'failed', cancel: () => void}}
 */
export function useAsked(query, round = 0) {
  const [state, setState] = useState({ key: null, answer: null, error: null, phase: 'idle', stop: null });
  const key = query === null ? null : `${round} ${query}`;
  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    const mine = (change) => (old) => (old.stop === stop ? { ...old, ...change } : old);
    setState({ key, answer: null, error: null, phase: 'asking', stop });
    follow('query', { q: query, stream: 'true' }, (answer) => setState(mine({ answer })), stop.signal).then(
      () => setState(mine({ phase: 'done' })),
      (error) => setState(mine(stop.signal.aborted ? { phase: 'cancelled' } : { phase: 'failed', error })),
    );
    return () => stop.abort();
  }, [key]);
  if (state.key !== key) return { answer: null, error: null, phase: key === null ? 'idle' : 'asking', cancel() {} };
  return { ...state, cancel: () => state.stop?.abort() };
}

/** How far a question has come, and a way to end it. */
export function Progress({ asked }) {
  const { answer, phase, cancel } = asked;
  const so = answer?.asked;
  const told = so
    ? `${grouped(so.answered)} of ${count(so.hosts, 'host')} answered · ${(Number(so.bytes) / 1e6).toFixed(1)} MB read`
    : 'asking the hosts…';
  if (phase === 'idle' || (!so && ['done', 'failed'].includes(phase))) return null;
  return html`
    <div class="progress" data-test="progress">
      ${phase === 'asking' && html`<progress aria-label="Hosts that have answered"
        value=${so ? Number(so.answered) : undefined} max=${so ? Math.max(1, Number(so.hosts)) : undefined}></progress>`}
      <span role="status">${phase === 'cancelled' ? `cancelled: ${told}` : told}</span>
      ${phase === 'asking' && html`<button onClick=${cancel}>Cancel</button>`}
    </div>`;
}

/** Hosts that have no part in the answer, or not in all of it. */
export function MissingHosts({ answer }) {
  const [rows, setRows] = useState(MISSING_STEP);
  const missing = answer?.asked?.final ? answer.asked.missing : [];
  if (!missing.length) return null;
  return html`
    <section class="lacking" aria-label="Hosts that are missing" data-test="missing-hosts">
      <table class="plain">
        <thead><tr><th scope="col">missing host</th><th scope="col">state</th><th scope="col">why</th></tr></thead>
        <tbody>${missing.slice(0, rows).map(
          ({ host, state, detail, windows }) => html`
          <tr><td>${visible(host)}</td><td class="short">${words(state)}</td>
            <td>${detail ? visible(detail) : ''} <span class="muted">in ${count(windows, 'window')}</span></td></tr>`,
        )}</tbody>
      </table>
      ${missing.length > rows && html`<p class="rest">${rows} of ${grouped(missing.length)}.
        <button class="link" onClick=${() => setRows(missing.length)}>Show all</button></p>`}
    </section>`;
}

/** What went wrong with a question, and what to do. */
export function Failed({ error }) {
  if (!error) return null;
  return html`<p class="problem" role="alert">${visible(error.message)}${error.hint &&
    html` <span class="hint">${visible(error.hint)}</span>`}</p>`;
}

/** How complete records are, in a line. */
function Standing({ answer }) {
  const { data, asked } = answer;
  const of = data.completeness;
  const whole = of.percent === 100 && of.records_percent === 100;
  const end = data.order === 'desc' ? 'the latest' : 'the first';
  // That they are all is known only where everything was read and counted.
  const shown = !data.more && asked.final
    ? `${whole ? 'all ' : ''}${count(data.records.length, 'record')}${whole ? '' : ' found'}`
    : `${end} ${grouped(data.records.length)} of ${count(data.matched, 'record')}`;
  const percent = of.percent === null ? 'completeness unknown' : `${of.percent} % complete`;
  const missing = missingText(of.missing);
  const lost = lostText(of.lost ?? {});
  return html`
    <p class="trust ${whole ? 'complete' : asked.final ? 'below' : 'pending'}" data-test="records-standing">
      <b>${percent}</b> · ${shown}${asked.final ? '' : ' so far'}${missing && ` · missing: ${missing}`}${
        lost && ` · lost records: ${lost}`
      }</p>`;
}

/** The records of an answer. */
export function RecordTable({ answer, zone }) {
  const { data } = answer;
  return html`
    <${Standing} answer=${answer} />
    <${MissingHosts} answer=${answer} />
    ${(answer.warnings ?? []).map((warning) => html`<p class="problem">${visible(warning)}</p>`)}
    ${data.records.length > 0 && html`
      <div class="records-box" tabindex="0" role="region" aria-label="Records" data-test="records">
        <table class="records">
          <thead><tr>
            <th scope="col">time (${zoneName(zone, Date.parse(data.from))})</th><th scope="col">host</th>
            <th scope="col">file</th><th scope="col" class="number">offset</th><th scope="col">text</th>
          </tr></thead>
          <tbody>${data.records.map((record) => html`<${RecordRow} record=${record} zone=${zone} />`)}</tbody>
        </table>
      </div>`}
    ${data.records.length === 0 && answer.asked.final && html`<p class="muted" data-test="no-records">
      ${data.completeness.percent === 100 ? 'There is no such record.' : 'No such record was found in what could be read.'}
    </p>`}`;
}

function RecordRow({ record, zone }) {
  const second = Math.floor(Date.parse(record.time) / 1000) * 1000;
  const lines = record.text.split('\n');
  return html`
    <tr>
      <td class="short" title=${record.time}>${dateTime(second, zone)}${fraction(record.time)}</td>
      <td class="short">${visible(record.host)}</td>
      <td class="file">${visible(record.file)}</td>
      <td class="number">${String(record.offset)}</td>
      <td class="said">${lines.map((line) => html`<div>${visible(line)}</div>`)}${record.cut &&
        html`<div class="muted">… cut: the record has ${grouped(record.bytes)} bytes</div>`}</td>
    </tr>`;
}

/** The digits of a time behind its second, as they were stamped. */
function fraction(time) {
  const found = /\.(\d+)/.exec(time);
  return found ? `.${found[1]}` : '';
}

/**
 * The records behind a point, in the drawer.
 * @param {object} props `monitor`, `from` and `to` in milliseconds, `labels` of the group or null for all, `stored`
 *   (windows that the point was made of), `zone`, `forget()` (all groups are wanted)
 */
export function RecordsOf({ monitor, from, to, labels, stored, zone, forget }) {
  const [more, setMore] = useState(false);
  const [latest, setLatest] = useState(false);
  const names = monitor.group_by ?? [];
  const condition = labels && names.length ? conditionOf(names, labels) : '';
  const limit = RECORDS[more ? 1 : 0];
  const query = recordsQuery(monitor, { from, to }, condition, { limit, latest });
  const [round, setRound] = useState(0);
  const asked = useAsked(query, round);
  const { answer } = asked;
  const hint = difference(stored, answer);
  return html`
    <section class="behind" aria-label="Records" data-test="records-of">
      <p class="of">${condition
        ? html`of ${labels.map((label, at) => html`<code>${visible(names[at])} = ${groupText(label)}</code> `)}
            <button class="link" onClick=${forget}>all groups</button>`
        : labels && condition === null
          ? 'The other groups are many and have no name: these are the records of all groups.'
          : names.length > 0 && 'of all groups'}</p>
      <${Progress} asked=${asked} />
      <${Failed} error=${asked.error} />
      ${hint && html`<p class="problem" data-test="records-hint">${hint}</p>`}
      ${answer && html`<${RecordTable} answer=${answer} zone=${zone} />`}
      <div class="buttons">
        <button aria-pressed=${!latest} onClick=${() => setLatest(false)}>first</button>
        <button aria-pressed=${latest} onClick=${() => setLatest(true)}>latest</button>
        ${answer?.data.more && !more && html`<button onClick=${() => setMore(true)}>Show up to ${RECORDS[1]}</button>`}
        ${['cancelled', 'failed'].includes(asked.phase) &&
          html`<button onClick=${() => setRound(round + 1)}>Ask again</button>`}
      </div>
      <p class="query"><code>${visible(query)}</code></p>
    </section>`;
}
