// Hosts and logs: which hosts there are and how their agents are kept in bounds, the folders that a host's agent opens,
// and what is in a file: how it is stamped, and its last lines. Whatever a log holds is shown as text.
import { html, useState } from './dom.js';
import { ask } from './api.js';
import { numberOf } from './exact.js';
import { dateTime, short } from './format.js';
import { timeMs } from './grid.js';
import { useLive } from './live.js';
import { count, grouped, visible } from './text.js';

/** Rows shown at once; an application may have ten thousand hosts. */
const ROWS_STEP = 200;
/** Entries of a folder asked for at a time. */
const PAGE = 200;
/** How often the agents are asked for. */
const AGENTS_MS = 30_000;
const NOWHERE = { path: null, file: null };

/** `sandbox: landlock+seccomp, user sunfire`. Pure. */
export function sandboxText({ sandbox, user, trouble }) {
  if (!sandbox) return `sandbox: not known: ${trouble ?? 'nothing was heard'}`;
  return `sandbox: ${sandbox}, user ${user ?? 'not known'}`;
}

/** A name in a folder as a path. Pure. */
export const join = (folder, name) => `${folder === '/' ? '' : folder}/${name}`;

/** The folder that a path is in, if a root allows it; null for a root. Pure. */
export function folderAbove(path, roots) {
  const above = path.slice(0, path.lastIndexOf('/')) || '/';
  const isBelow = (root) => above === root || above.startsWith(join(root, ''));
  return roots.includes(path) || !roots.some(isBelow) ? null : above;
}

export function Hosts({ state, change, attempt }) {
  const agents = useLive(
    `agents ${attempt}`,
    (cancelled) => ask('agents', {}, cancelled).then(({ body }) => body.data.agents),
    AGENTS_MS,
  );
  const isChosen = state.app !== null && state.host !== null;
  return html`
    <main class="cluster" data-test="hosts-page">
      <h1>Hosts and logs</h1>
      ${agents.error && html`<p class="problem">${visible(agents.error.message)}</p>`}
      ${isChosen && html`<${Host} key=${`${state.app} ${state.host}`} ...${{ state, change, attempt }} />`}
      ${!isChosen && html`<${HostList} agents=${agents.value} change=${change} />`}
    </main>`;
}

function HostList({ agents, change }) {
  const [text, setText] = useState('');
  const [rows, setRows] = useState(ROWS_STEP);
  if (!agents) return html`<p class="muted">Asking for the hosts…</p>`;
  const wanted = text.trim().toLowerCase();
  const found = agents.filter(({ app, host }) => `${app} ${host}`.toLowerCase().includes(wanted));
  const open = found.filter(({ missing }) => missing).length;
  return html`
    <section>
      <input type="search" placeholder="application or host" aria-label="Find hosts" value=${text}
        onInput=${(event) => setText(event.target.value)} />
      ${open > 0 && html`<p class="warnings" data-test="open-agents">
        The sandbox of ${count(open, 'agent')} is off or not whole.</p>`}
      <div class="scroll"><table class="plain" data-test="hosts">
        <thead><tr><th>application</th><th>host</th><th>agent</th><th>how it is kept in bounds</th></tr></thead>
        <tbody>${found.slice(0, rows).map((agent) => html`<${AgentRow} ...${{ agent, change }} />`)}</tbody>
      </table></div>
      ${!found.length && html`<p class="muted">No such host.</p>`}
      ${found.length > rows && html`<p class="rest">${count(rows, 'host')} of ${grouped(found.length)}.
        <button class="link" onClick=${() => setRows(rows + ROWS_STEP)}>Show more</button></p>`}
    </section>`;
}

function AgentRow({ agent, change }) {
  const choose = () => change({ app: agent.app, host: agent.host, ...NOWHERE }, true);
  return html`
    <tr><td>${visible(agent.app)}</td>
      <td><button class="link" onClick=${choose}>${visible(agent.host)}</button></td>
      <td class="muted">${visible(agent.address)}</td>
      <td>${visible(sandboxText(agent))}${agent.missing && html`<div class="bad">⚠ ${visible(agent.missing)}</div>`}</td>
    </tr>`;
}

/** Asks once for what is chosen. */
function useAsked(path, parameters, attempt) {
  const key = `${path} ${JSON.stringify(parameters)} ${attempt}`;
  const live = useLive(key, (cancelled) => ask(path, parameters, cancelled).then(({ body }) => body.data), 0);
  // What was chosen before must not stand under this one's name.
  return live.key === key ? live : { ...live, value: null };
}

/** That an answer is awaited, or why there is none. */
function Awaited({ live, what }) {
  if (live.error) {
    return html`<p class="problem" data-test=${`no-${what}`}>${visible(live.error.message)}
      <button class="link" onClick=${live.again}>Ask again</button></p>`;
  }
  return live.value ? null : html`<p class="muted">Asking the host…</p>`;
}

function Host({ state, change, attempt }) {
  const { app, host, path, file, zone } = state;
  const status = useAsked('files', { app, host }, attempt);
  const roots = status.value?.roots ?? [];
  const root = (one) => html`
    <button aria-pressed=${one.path === path} disabled=${one.refusal !== null} title=${visible(one.refusal ?? '')}
      onClick=${() => change({ path: one.path, file: null }, true)}>${visible(one.path)}</button>`;
  return html`
    <p><button class="link" onClick=${() => change({ app: null, host: null, ...NOWHERE }, true)}>All hosts</button></p>
    <section><h2>${visible(host)} <span class="muted">${visible(app)}</span></h2>
      <${Awaited} live=${status} what="agent" />
      ${status.value && html`<${Status} status=${status.value} />`}
    </section>
    <section><h2>Folders</h2>
      <div class="buttons filter" role="group" aria-label="Roots" data-test="roots">${roots.map(root)}</div>
      ${path !== null && html`<${Folder} key=${path} roots=${roots.map((one) => one.path)} ...${{ state, change, attempt }} />`}
    </section>
    ${file !== null && html`<${File} key=${file} ...${{ app, host, file, zone, attempt }} />`}`;
}

function Status({ status }) {
  const limits = Object.entries(status.limits).filter(([, value]) => value !== null);
  const told = limits.map(([name, value]) => `${name.replaceAll('_', ' ')} ${grouped(value)}`);
  return html`
    <p data-test="agent"><b>${visible(sandboxText(status))}</b> <span class="muted">version ${visible(status.version)}</span></p>
    ${status.missing && html`<p class="warnings" data-test="sandbox-warning">⚠ ${visible(status.missing)}</p>`}
    <p class="muted small">${visible(status.confinement)}; limits: ${told.join(', ')}</p>`;
}

function Folder({ state, change, attempt, roots }) {
  const { app, host, path, file, zone } = state;
  // Behind which name each page after the first begins.
  const [after, setAfter] = useState([]);
  const behind = after.length > 0 ? { after: after.at(-1) } : {};
  const live = useAsked('files', { app, host, path, limit: PAGE, ...behind }, attempt);
  const above = folderAbove(path, roots);
  const entries = live.value?.entries ?? [];
  return html`
    <p><code>${visible(path)}</code> ${
      above && html`<button class="link" onClick=${() => change({ path: above, file: null }, true)}>up</button>`
    }</p>
    <${Awaited} live=${live} what="folder" />
    ${live.value?.incomplete && html`<p class="warnings">This folder has more names than are looked at.</p>`}
    ${entries.length > 0 && html`<div class="scroll"><table class="plain" data-test="folder">
      <thead><tr><th>name</th><th>kind</th><th class="number">size</th><th>changed</th></tr></thead>
      <tbody>${entries.map((entry) => html`<${Entry} ...${{ entry, path, file, zone, change }} />`)}</tbody>
    </table></div>`}
    ${live.value && !entries.length && html`<p class="muted">Nothing is in it.</p>`}
    <p class="rest">
      ${after.length > 0 && html`<button class="link" onClick=${() => setAfter(after.slice(0, -1))}>Names before</button> `}
      ${live.value?.more && html`<button class="link" onClick=${() => setAfter([...after, entries.at(-1).name])}>More names</button>`}
    </p>`;
}

function Entry({ entry, path, file, zone, change }) {
  const kind = entry.leads_to ?? entry.kind;
  const at = join(path, entry.name);
  const patch = { folder: { path: at, file: null }, file: { file: at } }[kind];
  const name = `${visible(entry.name)}${kind === 'folder' ? '/' : ''}`;
  return html`
    <tr aria-current=${at === file ? 'true' : undefined}>
      <td>${patch && !entry.refusal ? html`<button class="link" onClick=${() => change(patch, true)}>${name}</button>` : name}
        ${entry.refusal && html`<div class="muted small">${visible(entry.refusal)}</div>`}</td>
      <td class="muted">${entry.kind}${entry.leads_to ? ` to a ${entry.leads_to}` : ''}</td>
      <td class="number">${entry.size === null ? '' : short(numberOf(entry.size), 'B')}</td>
      <td class="short">${entry.mtime ? dateTime(timeMs(entry.mtime), zone) : ''}</td>
    </tr>`;
}

function File({ app, host, file, zone, attempt }) {
  const detected = useAsked('files/detect', { app, host, path: file }, attempt);
  const tail = useAsked('files/tail', { app, host, path: file }, attempt);
  return html`
    <section><h2><code>${visible(file)}</code></h2>
      <${Awaited} live=${detected} what="detection" />
      ${detected.value && html`<${Detection} detected=${detected.value} />`}
    </section>
    <section><h2>Its ${tail.value?.file.packed?.shown === 'beginning' ? 'first' : 'last'} lines <button class="link" onClick=${tail.again}>again</button></h2>
      <${Awaited} live=${tail} what="tail" />
      ${tail.value && html`<${Tail} tail=${tail.value} zone=${zone} />`}
    </section>`;
}

function Detection({ detected }) {
  const { found, file } = detected;
  const share = Math.round(numberOf(found.stamped_share) * 10_000) / 100;
  const rows = [
    ['format', found.format ?? 'none'],
    ['why', found.why],
    ['position', found.offset === null ? null : `${found.offset} bytes into the line`],
    ['zone', found.zone && `${found.zone}${detected.zone_unknown ? ' (the host does not say its own)' : ''}`],
    ['sample', found.sample],
    ['encoding', found.container ? `${found.encoding}, lines of ${found.container}` : found.encoding],
    ['first, last', found.first && `${found.first} … ${found.last}`],
    ['disorder', found.max_back_ms === null ? null : `${found.max_back_ms} ms at most`],
    ['lateness', found.lateness_advice && `${found.lateness_advice} is enough for what was seen`],
    ['stamped', `${share} % of ${grouped(found.lines)} lines begin a record`],
    ['looked at', `${short(numberOf(detected.looked_at), 'B')} of ${short(numberOf(file.packed?.bytes ?? file.size), 'B')}`],
    ['compressed', file.packed && packedText(file)],
  ];
  const shown = rows.filter(([, value]) => value);
  return html`
    <dl class="losses found" data-test="detection">
      ${shown.map(([name, value]) => html`<dt>${name}</dt><dd>${visible(value)}</dd>`)}
    </dl>`;
}

/** What a compressed file is, and what must be known of what is shown of it. */
function packedText({ size, packed }) {
  const more = packed.shown === 'beginning' ? ' and more' : '';
  const text = `${packed.method}, ${short(numberOf(size), 'B')} of ${short(numberOf(packed.bytes), 'B')}${more}`;
  return packed.note ? `${text}; ${packed.note}` : text;
}

function Tail({ tail, zone }) {
  const invalid = tail.lines.reduce((sum, line) => sum + line.invalid, 0);
  const changed = dateTime(timeMs(tail.file.mtime), zone);
  return html`
    <p class="muted small">${tail.encoding}, ${
      tail.file.packed ? packedText(tail.file) : short(numberOf(tail.file.size), 'B')
    }, changed ${changed}${
      invalid > 0 ? `; ${count(invalid, 'byte')} of this are no ${tail.encoding}` : ''
    }</p>
    <pre class="tail" tabindex="0" aria-label="Last lines" data-test="tail">${tail.lines.map(
      (line) => html`<span class=${line.invalid ? 'invalid' : undefined}>${line.text}${line.cut ? ' …' : ''}${'\n'}</span>`,
    )}</pre>
    ${!tail.lines.length && html`<p class="muted">The file is empty.</p>`}`;
}
