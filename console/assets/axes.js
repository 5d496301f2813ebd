// Axes of the chart: times in the chosen zone, values in their unit, and a y range that shows zero.
import uPlot from './vendor/uplot.js';
import { clock, day, short } from './format.js';
import { STRIP_GAP_PX, STRIP_PX } from './strip.js';

/** The x axis, below the strip. */
export function timeAxis(palette, zone) {
  return {
    stroke: palette.muted,
    font: palette.font,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
    size: 34 + STRIP_PX + STRIP_GAP_PX,
    gap: STRIP_PX + 2 * STRIP_GAP_PX + 2,
    space: 90,
    values: (_u, splits, _axis, _space, step) => timeLabels(splits, step, zone),
  };
}

function timeLabels(splits, stepSeconds, zone) {
  let before = null;
  return splits.map((seconds) => {
    const ms = seconds * 1000;
    const date = day(ms, zone);
    const time = stepSeconds < 60 ? clock(ms, zone) : clock(ms, zone).slice(0, 5);
    const text = date === before ? time : `${time}\n${date}`;
    before = date;
    return text;
  });
}

/** The y axis of an output. */
export function valueAxis(palette, unit) {
  return {
    stroke: palette.muted,
    font: palette.font,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
    gap: 8,
    size: (u, values) => {
      const longest = (values ?? []).reduce((max, text) => (text.length > max.length ? text : max), '');
      u.ctx.font = palette.font;
      return Math.max(44, Math.ceil(u.ctx.measureText(longest).width) + 18);
    },
    values: (_u, splits) => splits.map((value) => short(value, unit)),
  };
}

/** From zero, or below it, to a little above the greatest; a flat zero gets room to be seen as a line. */
export function valueRange(_u, min, max) {
  if (min === null || max === null) return [0, 1];
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  if (low === high) return [0, 1];
  const room = (high - low) * 0.07;
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0];
}

/** uPlot places its time ticks by the wall clock of the zone. */
export function dateIn(zone) {
  return zone === 'utc'
    ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC')
    : (seconds) => new Date(seconds * 1000);
}
