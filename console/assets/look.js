// How a window looks by how complete and how final it is. The one place that decides it: line, strip, tooltip, legend
// and speech all ask here, so that none of them can show a value as better than another does. Pure.

/** Below this percentage the strip is red. */
export const RED_BELOW = 50;

/** Whether every expected host is ok and no record was lost. */
export function isComplete(window) {
  return window.percent === 100 && window.recordsPercent >= 100 && !window.flags.includes('poisoned');
}

/**
 * Whether a window is still being collected. A step of a long range is open as well if one of its windows is not
 * stored; unless the step ended just now, that one is missing and not on its way.
 */
export function isCollecting(window, recent) {
  return window.state === 'open' && (recent || !window.missing?.not_stored);
}

/**
 * The look of a window, null for one that has no answer; `recent` if it ended just now.
 * `line` is solid, dashed or dotted; `hollow` marks its points; `dim` shades the stretch as not final;
 * `level` is what the strip shows: none, quiet, pending, amber, red or unknown.
 */
export function lookOf(window, recent = false) {
  if (!window) return { line: null, hollow: false, dim: false, level: 'none', depth: 0 };
  if (isCollecting(window, recent)) return { line: 'dotted', hollow: false, dim: true, level: 'pending', depth: 0 };
  const complete = isComplete(window);
  const final = window.state === 'settled';
  return {
    line: complete ? (final ? 'solid' : 'dotted') : 'dashed',
    hollow: !complete,
    dim: !final,
    level: levelOf(window, complete),
    depth: depthOf(window, complete),
  };
}

/** The look of a window that ended just now and has no answer yet. */
export const PENDING_LOOK = { line: null, hollow: false, dim: true, level: 'pending', depth: 0 };

function levelOf(window, complete) {
  if (window.percent === null) return 'unknown';
  if (complete) return 'quiet';
  return shown(window) < RED_BELOW || window.flags.includes('poisoned') ? 'red' : 'amber';
}

/** From 0 (complete) to 1 (nothing): how deep a colour is. */
function depthOf(window, complete) {
  return complete ? 0 : Math.max(0.05, 1 - shown(window) / 100);
}

/** The worse of hosts and records. */
function shown(window) {
  return Math.min(window.percent ?? 0, window.recordsPercent);
}

const WORST = ['solid', 'dotted', 'dashed'];

/** The line between two neighbours looks like the worse of them. */
export function worse(one, other) {
  return WORST[Math.max(WORST.indexOf(one), WORST.indexOf(other))];
}

/** Runs of windows that are not final, as [first, last] indices. */
export function dimRuns(looks) {
  const runs = [];
  looks.forEach((look, index) => {
    if (!look.dim) return;
    const run = runs.at(-1);
    if (run && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  });
  return runs;
}
