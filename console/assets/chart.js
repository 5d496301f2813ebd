// The chart: uPlot for axes, scales and the cursor, `lines` and `strip` for what is drawn, and the keyboard.
import { html, useEffect, useLayoutEffect, useRef, useState } from './dom.js';
import uPlot from './vendor/uplot.js';
import { dateIn, timeAxis, valueAxis, valueRange } from './axes.js';
import { unitOf } from './format.js';
import { startOf } from './grid.js';
import { drawBehind, drawLines } from './lines.js';
import { onThemeChange, readPalette } from './palette.js';
import { spokenCell, summaryOf } from './speech.js';
import { drawStrip, stripArea } from './strip.js';
import { Tooltip } from './tooltip.js';

/** A drag shorter than this is a click. */
const DRAG_MIN_PX = 8;
/** So far from a line a click still means its point. */
const POINT_PX = 24;
const NOWHERE = { left: -10, top: -10 };

/**
 * @param {object} props `grid`, `output`, `rows` (shown, with `slot` of their colour), `allRows`, `zone`, `events`,
 *   `markAt`, `stale`, `onZoom(fromMs, toMs)`, `onPick(windowStartMs, part, group)`: `records` of a line's point, whose
 *   group that is (null for all), or the window's `hosts`
 */
export function Chart(props) {
  const box = useRef(null);
  const current = useRef(props);
  current.current = props;
  const [cursor, setCursor] = useState(null);
  const [spoken, setSpoken] = useState('');
  const chart = useRef(null);
  const theme = useTheme();
  useLayoutEffect(() => {
    chart.current = createChart(box.current, current, setCursor);
    return () => chart.current.destroy();
  }, [props.output, props.zone, theme, props.rows.length]);
  useEffect(() => chart.current.update(), [props.grid, props.rows, props.markAt]);
  const { grid, output, rows, zone } = props;
  const keys = (event) => moveByKey(event, chart.current.u, current.current, setSpoken);
  const summary = summaryOf(grid, output, props.allRows, zone);
  return html`
    <div class="chart ${props.stale ? 'stale' : ''}" tabindex="0" role="group" aria-label="Chart of ${output}"
      aria-describedby="chart-keys" onKeyDown=${keys} onBlur=${() => chart.current.u.setCursor(NOWHERE)}>
      <div class="plot" role="img" aria-label=${summary} ref=${box}></div>
      <${Tooltip} cursor=${cursor} grid=${grid} output=${output} rows=${rows} zone=${zone} events=${props.events} />
      <p id="chart-keys" class="unseen">
        Left and right move by a window, with shift by ten; home and end; enter shows the records behind the point.
      </p>
      <p class="unseen" aria-live="polite" data-test="spoken">${spoken}</p>
    </div>`;
}

/** A number that changes with the theme. */
function useTheme() {
  const [theme, setTheme] = useState(0);
  useEffect(() => onThemeChange(() => setTheme((n) => n + 1)), []);
  return theme;
}

function createChart(box, current, setCursor) {
  const palette = readPalette(box);
  const u = new uPlot(optionsOf(box, current, palette, setCursor), dataOf(current.current), box);
  const pick = (at) => current.current.onPick(startOf(current.current.grid, at), 'hosts', null);
  const area = stripArea(u, pick);
  area.place();
  let pressedAt = 0;
  u.over.addEventListener('mousedown', (event) => {
    pressedAt = event.clientX;
  });
  u.over.addEventListener('click', (event) => {
    if (Math.abs(event.clientX - pressedAt) >= DRAG_MIN_PX || u.cursor.idx === null) return;
    const at = u.cursor.idx;
    current.current.onPick(startOf(current.current.grid, at), 'records', nearest(u, current.current.rows, at));
  });
  const resize = new ResizeObserver(() => {
    u.setSize(sizeOf(box));
    area.place();
  });
  resize.observe(box);
  // For tests and the curious: where things are on the canvas.
  box.chart = u;
  return {
    u,
    update() {
      u.setData(dataOf(current.current));
      area.place();
    },
    destroy() {
      resize.disconnect();
      area.remove();
      setCursor(null);
      u.destroy();
    },
  };
}

function sizeOf(box) {
  return { width: Math.max(200, box.clientWidth), height: Math.max(180, box.clientHeight) };
}

/** x is the middle of each window, so that its value, its band and its cell of the strip stand in one column. */
function dataOf({ grid, rows }) {
  const middles = Array.from({ length: grid.length }, (_, at) => (startOf(grid, at) + grid.step / 2) / 1000);
  return [middles, ...rows.map((row) => row.numbers)];
}

function optionsOf(box, current, palette, setCursor) {
  const { output, rows, zone } = current.current;
  const coloured = () =>
    current.current.rows
      .map((row) => ({ numbers: row.numbers, colour: palette.series[row.slot % palette.series.length] }))
      .reverse();
  return {
    ...sizeOf(box),
    padding: [10, 22, 0, 0],
    legend: { show: false },
    tzDate: dateIn(zone),
    scales: {
      x: { time: true, range: () => rangeOf(current.current.grid) },
      y: { range: valueRange },
    },
    axes: [timeAxis(palette, zone), valueAxis(palette, unitOf(output))],
    series: [{}, ...rows.map(() => ({ paths: () => null, points: { show: false } }))],
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: DRAG_MIN_PX },
    },
    hooks: {
      drawClear: [(u) => drawBehind(u, current.current.grid, palette)],
      draw: [
        (u) => {
          drawLines(u, current.current.grid, coloured(), palette);
          drawStrip(u, current.current.grid, palette, current.current.markAt);
        },
      ],
      setCursor: [(u) => setCursor(cursorOf(u))],
      setSelect: [(u) => zoom(u, current.current)],
    },
  };
}

function rangeOf(grid) {
  return [grid.first / 1000, (grid.first + grid.length * grid.step) / 1000];
}

/** Where the cursor is, in pixels of the plot's box; null if it is nowhere. */
function cursorOf(u) {
  const { left, idx } = u.cursor;
  if (idx === null || idx === undefined || left < 0) return null;
  return { at: idx, left: left + u.bbox.left / devicePixelRatio, width: u.width, top: u.bbox.top / devicePixelRatio };
}

/** A dragged stretch becomes the range, on the edges of its windows. */
function zoom(u, { grid, onZoom }) {
  const { left, width } = u.select;
  if (width < DRAG_MIN_PX) return;
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  const edge = (px, round) => grid.first + round((u.posToVal(px, 'x') * 1000 - grid.first) / grid.step) * grid.step;
  const from = edge(left, Math.floor);
  onZoom(from, Math.max(from + grid.step, edge(left + width, Math.ceil)));
}

/** The group of the line at the cursor; null if there is none, or none alone. */
function nearest(u, rows, at) {
  const distances = rows
    .filter(({ numbers }) => numbers[at] !== null)
    .map(({ numbers, group }) => ({ group, px: Math.abs(u.valToPos(numbers[at], 'y') - u.cursor.top) }))
    .filter(({ px }) => px <= POINT_PX)
    .sort((a, b) => a.px - b.px);
  return distances[0]?.group.labels ?? null;
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

function moveByKey(event, u, props, setSpoken) {
  const { grid } = props;
  const at = u.cursor.left >= 0 ? u.cursor.idx : null;
  let next;
  if (event.key in STEPS)
    next = (at ?? (event.key === 'ArrowLeft' ? grid.length : -1)) + STEPS[event.key] * (event.shiftKey ? 10 : 1);
  else if (event.key === 'Home') next = 0;
  else if (event.key === 'End') next = grid.length - 1;
  else if (event.key === 'Enter' && at !== null) {
    const [only, second] = props.rows;
    props.onPick(startOf(grid, at), 'records', second ? null : (only?.group.labels ?? null));
  }
  else if (event.key === 'Escape' && at !== null) u.setCursor(NOWHERE);
  else return;
  event.preventDefault();
  event.stopPropagation();
  if (next === undefined) return;
  const to = Math.min(grid.length - 1, Math.max(0, next));
  u.setCursor({ left: u.valToPos(u.data[0][to], 'x'), top: u.over.clientHeight / 2 });
  setSpoken(spokenCell(grid, props.output, props.rows, to, props.zone));
}
