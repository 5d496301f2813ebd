// The completeness strip: one cell a window under the x axis. Its height says the level as its colour does, so that it
// can be read without colour: quiet is a thin line, pending thin and broken, amber taller, red and unknown full.
import { cell } from './lines.js';

/** Height of the strip and its distance from the axis, CSS pixels. */
export const STRIP_PX = 8;
export const STRIP_GAP_PX = 4;

/** Draws the strip below the plot; `markAt` is the window whose hosts are shown. */
export function drawStrip(u, grid, palette, markAt) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const top = bbox.top + bbox.height + STRIP_GAP_PX * ratio;
  const bottom = top + STRIP_PX * ratio;
  const hatch = hatching(ctx, palette, ratio);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, top - 2 * ratio, bbox.width, bottom - top + 6 * ratio);
  ctx.clip();
  grid.looks.forEach((look, at) => {
    const [left, right] = cell(u, grid, at);
    // Wide cells get a hair of space between them; narrow ones would vanish in it.
    const width = right - left > 6 * ratio ? right - left - ratio : Math.max(1, right - left);
    const height = heightOf(look) * ratio;
    ctx.fillStyle = fillOf(look, palette, hatch);
    ctx.globalAlpha = look.level === 'amber' ? 0.75 + 0.25 * Math.min(1, look.depth * 2) : 1;
    ctx.fillRect(left, bottom - height, width, height);
    ctx.globalAlpha = 1;
  });
  if (markAt >= 0) mark(u, grid, markAt, bottom, palette);
  ctx.restore();
}

function heightOf(look) {
  switch (look.level) {
    case 'quiet':
      return 3;
    case 'amber':
      return 5 + Math.min(1, look.depth * 2) * 2;
    case 'pending':
      return 2;
    case 'none':
      return 5;
    default:
      return STRIP_PX;
  }
}

function fillOf(look, palette, hatch) {
  switch (look.level) {
    case 'quiet':
    case 'pending':
      return palette.quiet;
    case 'amber':
      return palette.amber;
    case 'red':
      return palette.red;
    default:
      return hatch;
  }
}

function mark(u, grid, at, bottom, palette) {
  const [left, right] = cell(u, grid, at);
  u.ctx.fillStyle = palette.accent;
  u.ctx.fillRect(
    left - devicePixelRatio,
    bottom + devicePixelRatio,
    right - left + 2 * devicePixelRatio,
    2 * devicePixelRatio,
  );
}

/** Diagonal lines: nothing is known. */
function hatching(ctx, palette, ratio) {
  const size = Math.round(5 * ratio);
  const tile = new OffscreenCanvas(size, size);
  const pen = tile.getContext('2d');
  pen.strokeStyle = palette.muted;
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return ctx.createPattern(tile, 'repeat');
}

/** An area over the strip that moves the chart's cursor and takes clicks. Answers how to remove it. */
export function stripArea(u, pick) {
  const area = document.createElement('div');
  area.className = 'strip-area';
  u.over.parentElement.append(area);
  const place = () => {
    const ratio = devicePixelRatio;
    area.style.left = `${u.bbox.left / ratio}px`;
    area.style.width = `${u.bbox.width / ratio}px`;
    area.style.top = `${(u.bbox.top + u.bbox.height) / ratio}px`;
    area.style.height = `${STRIP_PX + 2 * STRIP_GAP_PX}px`;
  };
  area.addEventListener('mousemove', (event) => {
    u.setCursor({ left: event.clientX - area.getBoundingClientRect().left, top: u.over.clientHeight - 1 });
  });
  area.addEventListener('mouseleave', () => u.setCursor({ left: -10, top: -10 }));
  area.addEventListener('click', () => u.cursor.idx !== null && pick(u.cursor.idx));
  return { place, remove: () => area.remove() };
}
