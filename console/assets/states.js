// What the names in answers mean, in words for somebody who is woken by them. Pure.
import { grouped } from './text.js';

/** Host states (P2 to P4, M1, M5), worst and most frequent first. */
const HOST_STATES = {
  unreachable: 'The agent could not be connected to.',
  timeout: 'The agent was connected to and did not answer in time.',
  denied: 'A file of the log may not be read.',
  no_file: 'There is no file of the log’s name.',
  over_budget: 'Suspended for its cost, or a limit was met.',
  behind: 'Its newest records are too old: a writer holds back, the zone is wrong, or its clock is slow.',
  ahead: 'Its timestamps are ahead of its clock.',
  unstamped: 'No timestamp was found in its log.',
  bytes_lost: 'Bytes of this window are gone: truncated or removed before they were read.',
  not_started: 'The window lies before the first pull, and what stood there is gone.',
  left: 'The inventory dropped the host within the window.',
  duplicate: 'The same agent and files are listed under another name too.',
  open: 'Has not proved the window’s end yet; no reason to worry.',
  ok: 'Read through the window’s end.',
  ok_silent: 'Read through the window’s end; it wrote nothing.',
};
const STATE_ORDER = Object.keys(HOST_STATES);

/** What a host state means. */
export function hostStateText(state) {
  return HOST_STATES[state] ?? 'A state that this page does not know.';
}

/** Where a host state stands in lists: what needs attention first. */
export function hostStateRank(state) {
  const rank = STATE_ORDER.indexOf(state);
  return rank < 0 ? -1 : rank;
}

/** Whether a host counts as ok. */
export function isOk(state) {
  return state === 'ok' || state === 'ok_silent';
}

/** A state's name as words: `no file`. */
export function words(name) {
  return name.replaceAll('_', ' ');
}

const LOSSES = {
  late: 'stamped too far behind the records before them',
  bad_timestamp: 'stamped far ahead of the records after them',
  unfinished: 'a last line without its newline',
  too_long: 'longer than the limit',
  unparsable: 'fields could not be cut out',
  undecodable: 'bytes are not in the log’s encoding',
};

/** What a loss (C5) means. */
export function lossText(reason) {
  return LOSSES[reason] ?? '';
}

const FLAGS = {
  groups_folded: 'more groups than the limit: the rest is folded into “other groups”',
  ambiguous_time: 'the local hour was repeated; its first pass is assumed',
  poisoned: 'a promise of the contract did not hold: values are withheld. Please report it',
  arrival_time: 'the log has no timestamps: lines count when they were seen to arrive, and cannot be read again',
};

/** What a flag means; of too many groups also which columns make them, if that is known. Pure. */
export function flagText(flag, overflow = null) {
  if (flag === 'groups_folded' && overflow) return `${FLAGS[flag]} (${overflowText(overflow)})`;
  return FLAGS[flag] ?? words(flag);
}

/** Which columns make more groups than are kept. Pure. */
export function overflowText({ groups, columns, values, or_more: orMore }) {
  const each = columns.length > 1 ? ' each' : '';
  return `more than ${groups}, mostly by ${columns.join(' and ')}: ${values} different values${each}${orMore ? ' or more' : ''}`;
}

const WINDOW_STATES = {
  open: 'collecting: not all hosts have answered yet',
  provisional: 'provisional: late lines may still come',
  settled: 'settled: nothing more is expected',
};

/** What a window's state (C7) means. */
export function windowStateText(state) {
  return WINDOW_STATES[state] ?? words(state);
}

/** `88 timeout, 12 unreachable`: most first. */
export function missingText(missing) {
  return Object.entries(missing ?? {})
    .sort(([, a], [, b]) => b - a)
    .map(([state, number]) => `${grouped(number)} ${words(state)}`)
    .join(', ');
}

/** `3 late, 1 unparsable`. */
export function lostText(lost) {
  return missingText(lost);
}
