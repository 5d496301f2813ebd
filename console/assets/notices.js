// What the page says when things are not well: a server that is away, a query that is wrong, a token that is needed,
// nothing to show. Plain sentences that tell how to go on.
import { html, useEffect, useRef, useState } from './dom.js';
import { token } from './api.js';
import { useNow } from './live.js';
import { clock, duration } from './format.js';
import { visible } from './text.js';

/** An answer older than this many refreshes is called old, even if nothing has failed yet. */
const OLD_REFRESHES = 4;
const OLD_LEAST_MS = 10_000;

/** Whether what is shown is not what is: the last question failed, or no answer has come for too long. */
export function isStale(live, everyMs, now) {
  if (live.error) return true;
  const patience = Math.max(OLD_LEAST_MS, OLD_REFRESHES * everyMs);
  return everyMs > 0 && live.at > 0 && !document.hidden && now - live.at > patience;
}

/** The banner over everything, with the age of what is below it. */
export function StaleBanner({ live, everyMs, zone }) {
  const now = useNow();
  if (live.error?.kind === 'token' || !isStale(live, everyMs, now)) return null;
  const since = live.failedSince ? ` for ${duration(now - live.failedSince)}` : '';
  const second = Math.floor(live.at / 1000) * 1000;
  const shown = live.at
    ? `What you see is ${duration(now - live.at)} old (${clock(second, zone)}) and is not being updated.`
    : 'Nothing can be shown yet.';
  return html`
    <div class="banner" role="alert" data-test="stale">
      <b>${headline(live.error, since)}</b> ${shown}${' '}
      <button class="link" onClick=${live.again}>Ask again now</button>
    </div>`;
}

function headline(error, since) {
  if (!error) return 'No answer has come lately.';
  if (error.kind === 'away' || error.kind === 'timeout') return `The server is away${since}: ${error.message}.`;
  if (error.kind === 'query') return `The server refuses the question: ${visible(error.message)}.`;
  return `The server is in trouble${since}: ${visible(error.message)}.`;
}

/** `updated 3 s ago`, always there, so that a page without refresh does not look live. */
export function Age({ live, everyMs }) {
  const now = useNow();
  if (!live.at) return html`<span class="updated muted">asking…</span>`;
  return html`<span class="updated muted"
    data-test="age">updated ${duration(now - live.at)} ago${everyMs ? '' : ', refresh is off'}</span>`;
}

/** Asks for the token that the server wants. */
export function TokenDialog({ message, done }) {
  const dialog = useRef(null);
  const [value, setValue] = useState('');
  const had = token.get() !== null;
  useEffect(() => dialog.current.showModal(), []);
  const submit = (event) => {
    event.preventDefault();
    token.set(value.trim());
    done();
  };
  return html`
    <dialog ref=${dialog} class="token" aria-labelledby="token-title" onCancel=${(event) => event.preventDefault()}
      data-test="token">
      <form onSubmit=${submit}>
        <h2 id="token-title">${had ? 'The token is not right' : 'A token is needed'}</h2>
        <p>${visible(message)}</p>
        <label>Token <input type="password" autocomplete="off" value=${value}
          onInput=${(event) => setValue(event.target.value)} required /></label>
        <p class="muted small">It is kept for this tab only and sent with every request.</p>
        <button class="primary" type="submit">Go on</button>
      </form>
    </dialog>`;
}

const EXAMPLE = `kind: monitor
name: requests
app: shop
log: /var/log/nginx/access.log
parse: nginx
group_by: [status]
select:
  total: count()
  bytes: sum(body_bytes_sent)
window: 5s`;

/** No monitors: how to get one. */
export function NoMonitors() {
  return html`
    <section class="empty" data-test="empty">
      <h1>No monitors yet</h1>
      <p>Start with a log file; it is looked at, and counted by second:</p>
      <pre><code>sunfire up /var/log/nginx/access.log</code></pre>
      <p>Or say what you want in a file <code>NAME.yaml</code> in the configuration folder, which is${' '}
        <code>sunfire-data/config</code> where <code>sunfire up</code> was started, unless <code>--config</code>${' '}
        names another.${' '}
        It is read as soon as it is saved; mistakes appear here.</p>
      <pre><code>${EXAMPLE}</code></pre>
      <p class="muted"><code>sunfire detect LOG</code> shows how a log’s timestamps are read,${' '}
        <code>sunfire check FILE</code> whether a file is right.</p>
    </section>`;
}

/** A monitor without any point in the range. */
export function NoPoints({ monitor, ageText, wider }) {
  return html`
    <div class="empty small-empty" data-test="no-points">
      <p><b>Nothing was answered in this range.</b> ${ageText}</p>
      ${monitor.troubles?.map((trouble) => html`<p class="problem">${visible(trouble)}</p>`)}
      ${wider && html`<button onClick=${wider}>Look at 24 hours</button>`}
    </div>`;
}
