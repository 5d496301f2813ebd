// Reads the chart's canvas: what colours stand where. Looks are claimed by pixels, so pixels are looked at.

/**
 * Counts what is in a rectangle of cells of the plot or of the strip. Answers shares from 0 to 1:
 * `columns` with at least one pixel of the colour, `pixels` of it, and `filled`: pixels that are not transparent.
 * @param {import('playwright-core').Page} page
 * @param {{cells: [number, number], part: 'plot'|'strip'|'top'|'zero', colour: string}} what `colour` is a CSS variable
 */
export function look(page, what) {
  return page.evaluate(({ cells, part, colour }) => {
    const u = document.querySelector('.plot').chart;
    const count = u.data[0].length;
    const x = (cell) => u.bbox.left + (u.bbox.width * cell) / count;
    const left = Math.ceil(x(cells[0])) + 1;
    const width = Math.floor(x(cells[1])) - left - 1;
    const bottom = u.bbox.top + u.bbox.height;
    // The strip begins 4 px below the plot and is 8 px high; `top` is where bands show and no line runs.
    const rows = {
      plot: [u.bbox.top, u.bbox.height],
      strip: [bottom + 4, 8],
      top: [u.bbox.top + 2, 4],
      zero: [bottom - 1, 2],
    }[part];
    const image = u.ctx.getImageData(left, Math.round(rows[0]), width, Math.round(rows[1]));
    const probe = document.createElement('span');
    probe.style.color = `var(--${colour})`;
    document.body.append(probe);
    const wanted = getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      .map(Number);
    probe.remove();
    const hit = new Set();
    let pixels = 0;
    let filled = 0;
    for (let at = 0; at < image.data.length; at += 4) {
      const [r, g, b, a] = image.data.subarray(at, at + 4);
      if (a > 0) filled += 1;
      // Edges are blended; what is mostly the colour counts.
      if (a < 140 || Math.hypot(r - wanted[0], g - wanted[1], b - wanted[2]) > 48) continue;
      pixels += 1;
      hit.add((at / 4) % image.width);
    }
    const total = image.data.length / 4;
    return { columns: hit.size / image.width, pixels: pixels / total, filled: filled / total };
  }, what);
}

/**
 * How much of the first line is inked: the share of places along its ideal path that have its colour, from 0 to 1, and
 * the number of places; those near a marker are left out. A solid line gives 1, a dashed or dotted one much less.
 */
export function ink(page, colour) {
  return page.evaluate((name) => {
    const u = document.querySelector('.plot').chart;
    const probe = document.createElement('span');
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const wanted = getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      .map(Number);
    probe.remove();
    const at = (cell) => [u.valToPos(u.data[0][cell], 'x', true), u.valToPos(u.data[1][cell], 'y', true)];
    let inked = 0;
    let places = 0;
    for (let cell = 0; cell < u.data[0].length - 1; cell += 1) {
      const [[x0, y0], [x1, y1]] = [at(cell), at(cell + 1)];
      const length = Math.hypot(x1 - x0, y1 - y0);
      for (let place = 6; place < length - 6; place += 1) {
        const part = place / length;
        const [r, g, b, a] = u.ctx.getImageData(
          Math.floor(x0 + (x1 - x0) * part),
          Math.floor(y0 + (y1 - y0) * part),
          1,
          1,
        ).data;
        places += 1;
        if (a > 100 && Math.hypot(r - wanted[0], g - wanted[1], b - wanted[2]) < 90) inked += 1;
      }
    }
    return { inked: inked / places, places };
  }, colour);
}

/** The colour at the middle of a value's marker: `[r, g, b, a]`. */
export function markerCentre(page, cell) {
  return page.evaluate((at) => {
    const u = document.querySelector('.plot').chart;
    const left = Math.round(u.valToPos(u.data[0][at], 'x', true));
    const top = Math.round(u.valToPos(u.data[1][at], 'y', true));
    return [...u.ctx.getImageData(left, top, 1, 1).data];
  }, cell);
}

/** The middle of a cell on the screen, a little below the plot's top, or in the strip. */
export async function cellPosition(page, cell, part = 'plot') {
  const box = await page.locator('.u-over').boundingBox();
  const count = await page.evaluate(() => document.querySelector('.plot').chart.data[0].length);
  return { x: box.x + (box.width * (cell + 0.5)) / count, y: part === 'strip' ? box.y + box.height + 8 : box.y + 50 };
}
