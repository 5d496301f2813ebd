// Draws the lines of a chart and what lies behind them, cell by cell, by the looks of `look.js`. uPlot draws a series
// in one style; here a style belongs to a window, so the canvas is drawn on by hand between uPlot's own layers.
import { dimRuns, worse } from './look.js';

const DASHES = { solid: [], dashed: [6, 4], dotted: [1.5, 3.5] };
/** Markers closer than this would hide the dashes between them. */
const MARKER_SPACE_PX = 12;

/** Behind the lines: the stretch that is not final, and a band for each window below 100 %. */
export function drawBehind(u, grid, palette) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const [first, last] of dimRuns(grid.looks)) {
    const [left] = cell(u, grid, first);
    const [, right] = cell(u, grid, last);
    ctx.fillStyle = palette.dim;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    const trailing = grid.looks.slice(last + 1).every((look) => look.level === 'none');
    label(u, trailing ? 'collecting…' : 'reopened', left, right, trailing, palette);
  }
  grid.looks.forEach((look, at) => {
    if (!look.hollow) return;
    const [left, right] = cell(u, grid, at);
    ctx.fillStyle = look.level === 'red' ? palette.red : look.level === 'unknown' ? palette.quiet : palette.amber;
    ctx.globalAlpha = 0.1 + 0.16 * look.depth;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 1;
  });
  ctx.restore();
}

/** The edges of a cell in canvas pixels, snapped so that neighbours meet without a seam. */
export function cell(u, grid, at) {
  const start = grid.first + at * grid.step;
  const x = (ms) => Math.round(u.valToPos(ms / 1000, 'x', true));
  return [x(start), x(start + grid.step)];
}

function label(u, text, left, right, trailing, palette) {
  const { ctx, bbox } = u;
  ctx.font = scaledFont(palette.font);
  ctx.fillStyle = palette.muted;
  ctx.textBaseline = 'top';
  const width = ctx.measureText(text).width;
  const pad = 5 * devicePixelRatio;
  if (right - left > width + 2 * pad) {
    ctx.textAlign = 'left';
    ctx.fillText(text, left + pad, bbox.top + pad);
  } else if (trailing) {
    // The zone is narrow at its beginning and in long ranges; its name then stands before it.
    ctx.textAlign = 'right';
    ctx.fillText(text, left - pad, bbox.top + pad);
  }
}

/** A CSS font at the canvas' resolution. */
export function scaledFont(font) {
  return font.replace(/^([\d.]+)px/, (_, size) => `${size * devicePixelRatio}px`);
}

/**
 * The lines. `rows` are `{ numbers, colour, faint }`, the greatest last to be on top.
 */
export function drawLines(u, grid, rows, palette) {
  const { ctx, bbox } = u;
  ctx.save();
  // A line at zero lies on the edge; half of it must not be cut off.
  const over = 4 * devicePixelRatio;
  ctx.beginPath();
  ctx.rect(bbox.left - over, bbox.top - over, bbox.width + 2 * over, bbox.height + 2 * over);
  ctx.clip();
  ctx.lineJoin = 'round';
  for (const row of rows) {
    ctx.strokeStyle = row.colour;
    ctx.fillStyle = row.colour;
    ctx.lineWidth = 1.6 * devicePixelRatio;
    strokeRow(u, grid, row.numbers);
    markRow(u, grid, row.numbers, palette);
  }
  ctx.restore();
}

function centre(u, grid, at) {
  return u.valToPos((grid.first + (at + 0.5) * grid.step) / 1000, 'x', true);
}

/** Runs of segments in one style are one path, so that dashes go on across windows. */
function strokeRow(u, grid, numbers) {
  const { ctx } = u;
  let style = null;
  const finish = () => {
    if (style !== null) ctx.stroke();
    style = null;
  };
  for (let at = 1; at < numbers.length; at += 1) {
    // A gap is a gap: only neighbours are joined.
    if (numbers[at - 1] === null || numbers[at] === null) {
      finish();
      continue;
    }
    const next = worse(grid.looks[at - 1].line ?? 'dashed', grid.looks[at].line ?? 'dashed');
    if (next !== style) {
      finish();
      style = next;
      ctx.lineCap = style === 'dotted' ? 'round' : 'butt';
      ctx.setLineDash(DASHES[style].map((length) => length * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(centre(u, grid, at - 1), u.valToPos(numbers[at - 1], 'y', true));
    }
    ctx.lineTo(centre(u, grid, at), u.valToPos(numbers[at], 'y', true));
  }
  finish();
  ctx.setLineDash([]);
}

/** Hollow markers where a window is not complete; a dot where a value has no neighbour to be joined to. */
function markRow(u, grid, numbers, palette) {
  const { ctx } = u;
  const every = Math.ceil((MARKER_SPACE_PX * devicePixelRatio * grid.length) / u.bbox.width);
  // Counted from the epoch, so that markers stay with their windows when the chart moves on.
  const origin = Math.round(grid.first / grid.step);
  numbers.forEach((number, at) => {
    if (number === null) return;
    const alone = (numbers[at - 1] ?? null) === null && (numbers[at + 1] ?? null) === null;
    const hollow = grid.looks[at].hollow && (alone || (origin + at) % every === 0 || isEdge(grid, at));
    if (!hollow && !alone) return;
    ctx.beginPath();
    ctx.arc(centre(u, grid, at), u.valToPos(number, 'y', true), 2.7 * devicePixelRatio, 0, 2 * Math.PI);
    if (hollow) {
      const line = ctx.fillStyle;
      ctx.fillStyle = palette.surface;
      ctx.fill();
      ctx.fillStyle = line;
      ctx.lineWidth = 1.3 * devicePixelRatio;
      ctx.stroke();
      ctx.lineWidth = 1.6 * devicePixelRatio;
    } else {
      ctx.fill();
    }
  });
}

/** The first or last of a run of windows that are not complete: marked at any density, so that none goes unmarked. */
function isEdge(grid, at) {
  return !grid.looks[at - 1]?.hollow || !grid.looks[at + 1]?.hollow;
}
