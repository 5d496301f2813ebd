// The one place that talks to the server. Every failure is one of a closed set of kinds, so that the page can say what
// is wrong: nobody there, no leave, a query that is wrong, or a server in trouble.
import { parseExact } from './exact.js';

/** A server that has not answered by then is called away; its own limit for a query is shorter. */
const TIMEOUT_MS = 15_000;
const TOKEN_KEY = 'sunfire-token';

/** What went wrong: `away`, `timeout`, `token`, `query` or `server`; and what the server says of it. */
export class ApiError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** The token lives as long as the tab: it is never written to disk. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY),
  set: (value) => sessionStorage.setItem(TOKEN_KEY, value),
  forget: () => sessionStorage.removeItem(TOKEN_KEY),
};

/** How far the server's clock is ahead of ours, from its answers; ages of windows are told by the server's clock. */
let clockAheadMs = 0;
export const serverNow = () => Date.now() + clockAheadMs;

/**
 * Asks for `path` below `/api/v1/`. Answers `{ body, text }`.
 * @param {string} path
 * @param {Record<string, string>} parameters
 * @param {AbortSignal} [cancelled] not an error: the caller no longer wants it
 */
export async function ask(path, parameters = {}, cancelled = undefined) {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const { response, text } = await fetched(url, cancelled);
  if (response.status === 401) throw new ApiError('token', said(text) ?? 'a token is needed');
  if (!response.ok) {
    const kind = response.status < 500 ? 'query' : 'server';
    throw new ApiError(kind, said(text) ?? `the server answered ${response.status}`);
  }
  noteClock(response);
  try {
    return { body: parseExact(text), text };
  } catch {
    throw new ApiError('server', 'the server’s answer is not JSON; is there a proxy between?');
  }
}

async function fetched(url, cancelled) {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  const signal = cancelled ? AbortSignal.any([cancelled, deadline]) : deadline;
  const secret = token.get();
  const headers = secret ? { authorization: `Bearer ${secret}` } : {};
  try {
    const response = await fetch(url, { headers, signal, cache: 'no-store' });
    return { response, text: await response.text() };
  } catch (error) {
    if (cancelled?.aborted) throw error;
    if (deadline.aborted) throw new ApiError('timeout', `no answer within ${TIMEOUT_MS / 1000} s`);
    throw new ApiError('away', 'the server cannot be reached');
  }
}

/**
 * Asks for an answer that comes as lines of JSON, each more complete than the one before; `moment` is told each. Whoever
 * aborts `cancelled` has cancelled it: nothing is read any more.
 * @param {string} path
 * @param {Record<string, string>} parameters
 * @param {(answer: any) => void} moment
 * @param {AbortSignal} cancelled
 */
export async function follow(path, parameters, moment, cancelled) {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const secret = token.get();
  const headers = secret ? { authorization: `Bearer ${secret}` } : {};
  try {
    const response = await fetch(url, { headers, signal: cancelled, cache: 'no-store' });
    if (!response.ok) throw refusal(response.status, await response.text());
    noteClock(response);
    for await (const line of linesOf(response.body)) tell(line, moment);
  } catch (error) {
    if (error instanceof ApiError || cancelled.aborted) throw error;
    throw new ApiError('away', 'the server broke off before the answer was whole');
  }
}

function tell(line, moment) {
  const answer = parseExact(line);
  // An answer that had begun can still fail.
  if (answer.status === 'error') throw refusal(500, line);
  moment({ ...answer, text: line });
}

/** The lines of a body that are not empty: those that are say that it still goes on. */
async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? '')).split('\n');
    rest = done ? '' : lines.pop();
    for (const line of lines) if (line.trim()) yield line;
    if (done) return;
  }
}

function refusal(status, text) {
  const kind = status === 401 ? 'token' : status < 500 ? 'query' : 'server';
  const error = new ApiError(kind, said(text) ?? `the server answered ${status}`);
  error.hint = said(text, 'hint');
  return error;
}

/** The message of an error body, if it is one. */
function said(text, part = 'error') {
  try {
    const body = JSON.parse(text);
    return typeof body[part] === 'string' ? body[part] : null;
  } catch {
    return null;
  }
}

function noteClock(response) {
  const date = Date.parse(response.headers.get('date') ?? '');
  // The header has whole seconds; less than two of difference is noise.
  const ahead = date + 500 - Date.now();
  clockAheadMs = Math.abs(ahead) > 2000 ? ahead : 0;
}
