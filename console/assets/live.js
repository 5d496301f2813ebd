// Asking again and again: one answer at a time, never on a hidden page, slower when answers are slow, and honest about
// the age of what it holds. The hook behind everything on the page that is refreshed.
import { useEffect, useRef, useState } from './dom.js';

/** A server that is away is asked again this often, so that the page recovers by itself. */
const RETRY_MS = 3000;
/** Answers may take this part of the time, so that an open page never keeps a server busy. */
const BUSY_SHARE = 1 / 3;

/**
 * @param {string|null} key what is asked; a change drops the question under way. Null asks nothing.
 * @param {(cancelled: AbortSignal) => Promise<any>} load
 * @param {number} everyMs 0: once
 * @returns {{value: any, key: string|null, at: number, error: Error|null, failedSince: number, loading: boolean,
 *   again: () => void}} `value` and the `key` it answers; `at` is when it came
 */
export function useLive(key, load, everyMs) {
  const [state, setState] = useState({ value: null, key: null, at: 0, error: null, failedSince: 0, loading: false });
  const [round, setRound] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  useEffect(() => {
    if (key === null) return undefined;
    return poll(key, loader, everyMs, setState);
  }, [key, everyMs, round]);
  return { ...state, again: () => setRound((n) => n + 1) };
}

function poll(key, loader, everyMs, setState) {
  const stop = new AbortController();
  let timer = 0;
  // What failed was another question.
  setState((old) => (old.key === key ? old : { ...old, error: null, failedSince: 0 }));
  let asking = false;
  let waiting = false;
  const once = async () => {
    clearTimeout(timer);
    if (asking || stop.signal.aborted) return;
    waiting = document.hidden;
    if (waiting) return;
    asking = true;
    const began = performance.now();
    setState((old) => ({ ...old, loading: true }));
    const failed = await attempt(key, loader, everyMs, stop.signal, setState);
    asking = false;
    if (stop.signal.aborted) return;
    const slow = (performance.now() - began) / BUSY_SHARE;
    if (failed === 'again') timer = setTimeout(once, Math.max(RETRY_MS, everyMs));
    else if (failed === 'no' && everyMs) timer = setTimeout(once, Math.max(everyMs, slow));
  };
  // A page that was opened in the background asks when it is first looked at, even without refresh.
  const seen = () => {
    if (!document.hidden && (everyMs || waiting)) once();
  };
  document.addEventListener('visibilitychange', seen);
  once();
  return () => {
    stop.abort();
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

/** One question. Answers `no` if it did not fail, `again` if asking again may help, `final` if it cannot. */
async function attempt(key, loader, everyMs, cancelled, setState) {
  try {
    const value = await loader.current(cancelled);
    if (cancelled.aborted) return 'final';
    setState({ value, key, at: Date.now(), error: null, failedSince: 0, loading: false });
    return 'no';
  } catch (error) {
    if (cancelled.aborted) return 'final';
    setState((old) => ({ ...old, error, loading: false, failedSince: old.failedSince || Date.now() }));
    if (error.kind === 'token') return 'final';
    // A monitor that is not there yet may come; without refresh nobody waits for it.
    return error.kind === 'query' && !everyMs ? 'final' : 'again';
  }
}

/** The time, renewed each second, for ages that are shown. */
export function useNow(everyMs = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
