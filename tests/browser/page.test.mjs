// The page in Chromium against crafted answers: what is drawn, what is said, what is asked. Nothing here sleeps: a test
// waits for what it expects, or moves the page's own clock.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { launch, missingBrowser, openPage, picture } from './browser.mjs';
import { cellPosition, ink, look, markerCentre } from './canvas.mjs';
import { cellsOf, NOW } from './crafted.mjs';
import { MISTAKES, nodesOf, startFake } from './fake-api.mjs';
import { skipped } from './skip.mjs';

/** What a browser says of answers that are errors. */
const NETWORK = /Failed to load resource/;
const missing = missingBrowser();
let fake;
let browser;

/** A test with a page on `search`; the page must have had nothing to complain about at its end. */
function onPage(name, search, work, { options = {}, prepare = () => {}, allow = null } = {}) {
  test(name, async (context) => {
    if (missing) return skipped(context, missing);
    Object.assign(fake.scenario, { ...fake.plain, asked: [], cancelled: [] });
    prepare(fake.scenario);
    const opened = await openPage(browser, `${fake.url}${search}`, options);
    try {
      await work(opened.page, fake.scenario);
    } catch (error) {
      await picture(opened.page, `failed ${name}`);
      throw error;
    } finally {
      await opened.close();
    }
    const complaints = opened.complaints.filter((complaint) => !allow?.test(complaint));
    assert.deepEqual(complaints, [], 'the page complained');
  });
}

const seen = (page, test) => page.locator(`[data-test=${test}]`);
const drawn = (page) => page.locator('.u-over').waitFor();
const text = (page, test) => seen(page, test).innerText();
const parameter = (page, name) => new URL(page.url()).searchParams.get(name);
const queries = (scenario) =>
  scenario.asked
    .filter((path) => path.startsWith('/api/v1/query'))
    .map((path) => new URL(path, 'http://x').searchParams.get('q'));
async function hover(page, cell, part) {
  const { x, y } = await cellPosition(page, cell, part);
  await page.mouse.move(x, y);
}
const middle = (name) => Math.floor((cellsOf(name)[0] + cellsOf(name)[1]) / 2);
/** Waits until `condition` of the page's URL holds. */
const urlHas = (page, condition) => page.waitForURL((url) => condition(url.searchParams));

before(async () => {
  if (missing) return;
  fake = await startFake();
  fake.plain = { ...fake.scenario };
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await fake?.close();
});

describe('what is drawn', () => {
  const API = '?m=looks&tz=utc&only=%5B%22%2Fapi%22%5D';

  // Dashes are 6 of 10 px, dots with their round ends 3 of 5; blended edges add or take a little.
  for (const [name, least, most] of [
    ['settled', 0.99, 1],
    ['again', 0.99, 1],
    ['below', 0.4, 0.8],
    ['red', 0.4, 0.8],
    ['unknown', 0.4, 0.8],
    ['lost', 0.4, 0.8],
    ['provisional', 0.35, 0.85],
    ['open', 0.35, 0.85],
  ]) {
    const [from, to] = cellsOf(name).map((cell) => new Date(NOW - 900_000 + 5000 * cell).toISOString());
    onPage(`the line of a window, by its pixels: ${name}`, `${API}&from=${from}&to=${to}`, async (page) => {
      await drawn(page);
      const { inked, places } = await ink(page, 'series-1');
      assert.ok(places > 300 && inked >= least && inked <= most, `${inked} of ${places}`);
    });
  }

  onPage('nothing is drawn across a gap', API, async (page) => {
    await drawn(page);
    const line = (name) => look(page, { cells: cellsOf(name), part: 'plot', colour: 'series-1' });
    assert.ok((await line('settled')).pixels > 0);
    assert.equal((await line('gap')).pixels, 0);
    assert.equal((await line('pending')).pixels, 0);
  });

  onPage('markers of incomplete windows are hollow, others have none', API, async (page) => {
    await drawn(page);
    assert.deepEqual(await markerCentre(page, cellsOf('below')[0]), [255, 255, 255, 255], 'the surface shows through');
    const [r, , b] = await markerCentre(page, middle('settled'));
    assert.ok(b > 150 && b - r > 80, 'the line itself');
  });

  onPage('bands stand behind incomplete windows, the unfinished end is dimmed', API, async (page) => {
    await drawn(page);
    // A short inner stretch, so that no grid line lies in it.
    const filled = async (name) =>
      (await look(page, { cells: [cellsOf(name)[0] + 1, cellsOf(name)[0] + 3], part: 'top', colour: 'text' })).filled;
    for (const name of ['below', 'red', 'unknown', 'lost', 'provisional', 'open'])
      assert.ok((await filled(name)) > 0.95, name);
    for (const name of ['settled', 'gap', 'zero', 'again']) assert.equal(await filled(name), 0, name);
  });

  onPage('the strip, by colour and by height', API, async (page) => {
    await drawn(page);
    const strip = (name, colour) => look(page, { cells: cellsOf(name), part: 'strip', colour });
    const quiet = await strip('settled', 'quiet');
    assert.ok(quiet.pixels > 0.25 && quiet.pixels < 0.5, `a quiet line: ${quiet.pixels}`);
    const below = await strip('below', 'amber-fill');
    assert.ok(
      below.columns > 0.9 && below.pixels > 0.5 && below.filled < 0.95,
      `amber, not full height: ${below.pixels}`,
    );
    const red = await strip('red', 'red-fill');
    assert.ok(red.pixels > 0.9, `red, full height: ${red.pixels}`);
    const unknown = await strip('unknown', 'muted');
    assert.ok(unknown.filled > 0.15 && unknown.filled < 0.9, `hatched: ${unknown.filled}`);
    assert.ok((await strip('lost', 'amber-fill')).pixels > 0.4, 'lost records are amber too');
  });

  onPage(
    'a proven zero is a line at zero, and an unproven one is not',
    '?m=looks&tz=utc&only=%5B%22%2Fhealth%22%5D',
    async (page) => {
      await drawn(page);
      const at = (name, part) =>
        look(page, { cells: [cellsOf(name)[0] + 1, cellsOf(name)[1] - 1], part, colour: 'series-2' });
      assert.ok((await at('zero', 'zero')).columns > 0.9, 'the line lies on the axis');
      assert.equal((await at('gap', 'plot')).pixels, 0);
      await page.getByRole('tab', { name: 'p99_ms' }).click();
      await page.waitForFunction(
        () => document.querySelector('.chart').getAttribute('aria-label') === 'Chart of p99_ms',
      );
      assert.equal((await at('zero', 'plot')).pixels, 0, 'a quantile of nothing is a gap');
    },
  );

  onPage(
    'dark is dark, by the system and by choice, on the canvas too',
    '?m=looks&tz=utc',
    async (page) => {
      await drawn(page);
      const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(await background(), 'rgb(14, 18, 23)');
      assert.ok((await look(page, { cells: cellsOf('red'), part: 'strip', colour: 'red-fill' })).pixels > 0.9);
      await seen(page, 'theme').getByText('light').click();
      await page.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(243, 245, 247)');
      assert.equal(parameter(page, 'theme'), 'light');
      assert.ok(
        (await look(page, { cells: cellsOf('red'), part: 'strip', colour: 'red-fill' })).pixels > 0.9,
        'the canvas follows',
      );
      await page.reload();
      await drawn(page);
      assert.equal(await background(), 'rgb(243, 245, 247)');
    },
    { options: { colorScheme: 'dark' } },
  );

  for (const colorScheme of ['light', 'dark']) {
    onPage(
      `text can be read: contrast of 4.5 and more, ${colorScheme}`,
      '?m=looks',
      async (page) => {
        await drawn(page);
        const poor = await page.evaluate(contrasts);
        assert.deepEqual(poor, []);
      },
      { options: { colorScheme } },
    );
  }

  onPage(
    'a narrow window scrolls in one direction only',
    '?m=system&o=cpu.util',
    async (page) => {
      await drawn(page);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      await picture(page, 'narrow');
    },
    { options: { viewport: { width: 400, height: 800 } } },
  );
});

/** Pairs of text and ground whose WCAG contrast is below 4.5; lines against the surface need 3. */
function contrasts() {
  const probe = document.createElement('span');
  document.body.append(probe);
  const luminance = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      .slice(0, 3)
      .map((n) => n / 255);
    const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const pairs = [
    ['text', 'bg'],
    ['text', 'surface'],
    ['muted', 'bg'],
    ['muted', 'surface'],
    ['muted', 'control'],
    ['muted', 'raised'],
    ['accent', 'surface'],
    ['amber', 'amber-bg'],
    ['text', 'amber-bg'],
    ['muted', 'amber-bg'],
    ['red', 'red-bg'],
    ['muted', 'red-bg'],
    ['red', 'bg'],
    ['green', 'raised'],
    ['on-accent', 'accent'],
  ];
  const lines = Array.from({ length: 8 }, (_, n) => [`series-${n + 1}`, 'surface']);
  const poor = [...pairs.map((pair) => [pair, 4.5]), ...lines.map((pair) => [pair, 3])].filter(
    ([pair, least]) => ratio(...pair) < least,
  );
  return poor.map(([pair]) => `${pair.join(' on ')}: ${ratio(...pair).toFixed(2)}`);
}

describe('what the cursor and the keyboard say', () => {
  onPage('the tooltip: values, hosts and why, losses, states', '?m=looks&tz=utc', async (page) => {
    await drawn(page);
    const says = async (name, ...parts) => {
      await hover(page, middle(name));
      await page.waitForFunction(
        (wanted) => wanted.every((part) => document.querySelector('[data-test=tooltip]')?.innerText.includes(part)),
        parts,
      );
    };
    await says('below', '/api', '90 %', '900/1000 hosts · 88 timeout, 12 unreachable', 'settled');
    await says('lost', '100 %', '1000/1000 hosts', '3 late, 1 unparsable', '99.92 % of records counted');
    await says('unknown', 'completeness unknown', 'hosts expected: unknown');
    await says('gap', 'nothing was answered for this window');
    await says('zero', '/health', '0');
    await says('again', 'revision 2');
    await says('provisional', 'provisional: late lines may still come');
    await says('open', '40 %', '600 open', 'collecting');
    await says('pending', 'not answered yet');
    await hover(page, middle('red'), 'strip');
    await page.waitForFunction(() =>
      document.querySelector('[data-test=tooltip]')?.innerText.includes('700 unreachable'),
    );
    await picture(page, 'tooltip');
  });

  onPage('a step of several windows counts hosts in each of them', '?m=looks&tz=utc&r=3h', async (page) => {
    await drawn(page);
    await hover(page, 693);
    await page.waitForFunction(() =>
      document
        .querySelector('[data-test=tooltip]')
        ?.innerText.includes('900/3000 host answers in 3 of 3 windows · 2100 unreachable'),
    );
    assert.doesNotMatch(await text(page, 'tooltip'), /revision/);
  });

  onPage('times are of the chosen zone', '?m=looks', async (page) => {
    await drawn(page);
    await hover(page, 0);
    await page.getByText('08:30:00 – 08:30:05').waitFor();
    await seen(page, 'zone').getByText('UTC', { exact: true }).click();
    await hover(page, 0);
    await page.getByText('07:30:00 – 07:30:05').waitFor();
    assert.equal(parameter(page, 'tz'), 'utc');
  });

  onPage('the keyboard moves the cursor, speaks, and opens the hosts', '?m=looks&tz=utc', async (page) => {
    await drawn(page);
    const spoken = (part) =>
      page.waitForFunction((wanted) => document.querySelector('[data-test=spoken]').innerText.includes(wanted), part);
    await page.locator('.chart').focus();
    await page.keyboard.press('End');
    await spoken('07:44:55: nothing was answered');
    for (let n = 0; n < 3; n += 1) await page.keyboard.press('ArrowLeft');
    await spoken('07:44:40: /api');
    await spoken('40 %, 400/1000 hosts · 600 open. collecting');
    await page.keyboard.press('Home');
    for (let n = 0; n < 7; n += 1) await page.keyboard.press('Shift+ArrowRight');
    await spoken('900/1000 hosts · 88 timeout, 12 unreachable');
    await page.keyboard.press('Enter');
    await seen(page, 'drawer').waitFor();
    await page.keyboard.press('Escape');
    await seen(page, 'drawer').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.className.trim()), 'chart', 'the focus comes back');
  });

  onPage('the picture has a summary in words', '?m=looks&tz=utc', async (page) => {
    await drawn(page);
    const summary = await page
      .getByRole('img')
      .filter({ has: page.locator('canvas') })
      .getAttribute('aria-label');
    for (const part of [
      'requests of looks',
      '180 windows of 5 s',
      '3 lines',
      '/api: last',
      '45 windows not complete',
      'lowest 30 % at 07:37:30',
      '4 still collecting',
      '12 without an answer',
    ]) {
      assert.ok(summary.includes(part), `${part}: ${summary}`);
    }
  });
});

describe('drill-down', () => {
  onPage(
    'a click on the strip shows the hosts of the window, those missing first, by state and by text',
    '?m=looks&tz=utc',
    async (page, scenario) => {
      await drawn(page);
      const { x, y } = await cellPosition(page, middle('below'), 'strip');
      await page.mouse.click(x, y);
      const drawer = seen(page, 'drawer');
      await drawer.getByText('web-0088').waitFor();
      assert.match(
        await drawer.innerText(),
        /07:35:50 – 07:35:55[\s\S]*90 % · 900\/1000 hosts · 88 timeout, 12 unreachable/,
      );
      assert.ok(scenario.asked.includes('/api/v1/hosts?monitor=looks&window=2026-11-23T07%3A35%3A50.000Z'));
      assert.equal(
        await drawer
          .locator('tbody tr')
          .first()
          .innerText()
          .then((line) => line.includes('connection refused')),
        true,
      );
      await drawer.getByRole('button', { name: 'timeout 88' }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-test=drawer] tbody tr').length === 88);
      assert.equal(parameter(page, 'hosts'), 'timeout');
      await drawer.getByRole('button', { name: 'missing 100' }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-test=drawer] tbody tr').length === 100);
      await drawer.getByRole('searchbox').fill('zone=b');
      await page.waitForFunction(() => document.querySelectorAll('[data-test=drawer] tbody tr').length === 34);
      await drawer.getByRole('searchbox').fill('');
      await picture(page, 'drawer');
      await page.reload();
      await page.waitForFunction(() => document.querySelectorAll('[data-test=drawer] tbody tr').length === 100);
    },
  );

  onPage(
    'the step of a long range begins with its least complete window',
    '?m=looks&tz=utc&r=3h&w=2026-11-23T07:37:30Z',
    async (page, scenario) => {
      await drawn(page);
      assert.ok(queries(scenario).includes('select * from looks every 15s since 3h'));
      const drawer = seen(page, 'drawer');
      await drawer.getByText('window 1 of 3 in this step of 15 s').waitFor();
      await drawer.getByRole('button', { name: 'Later window' }).click();
      await drawer.getByText('07:37:35 – 07:37:40').waitFor();
      assert.ok(
        queries(scenario).includes('select * from looks from 2026-11-23T07:37:30Z to 2026-11-23T07:37:45Z'),
        queries(scenario).join('\n'),
      );
      await drawer.getByText('web-0088').waitFor();
      assert.ok(scenario.asked.includes('/api/v1/hosts?monitor=looks&window=2026-11-23T07%3A37%3A35.000Z'));
    },
  );
});

/** Where the point of a line stands in a cell. */
async function pointPosition(page, cell, line) {
  const { x } = await cellPosition(page, cell);
  const y = await page.evaluate(
    ([at, row]) => {
      const u = document.querySelector('.plot').chart;
      return u.over.getBoundingClientRect().top + u.valToPos(u.data[row][at], 'y');
    },
    [cell, line],
  );
  return { x, y };
}

describe('the records behind a point', () => {
  for (const colorScheme of ['light', 'dark']) {
    onPage(
      `one click on a point shows them, as text: ${colorScheme}`,
      '?m=looks&tz=utc',
      async (page, scenario) => {
        await drawn(page);
        const cell = middle('settled');
        const { x, y } = await pointPosition(page, cell, 1);
        await page.mouse.click(x, y);
        const drawer = seen(page, 'drawer');
        await drawer.getByText('100 % complete').waitFor();
        const start = NOW - 900_000 + cell * 5000;
        const [from, to] = [start, start + 5000].map((ms) => new Date(ms).toISOString());
        const asked = `select * from log \`looks\` where \`path\` = '/api' from '${from}' to '${to}' limit 50`;
        assert.ok(queries(scenario).includes(asked), queries(scenario).join('\n'));
        const rows = seen(page, 'records').locator('tbody tr');
        assert.equal(await rows.count(), 7);
        const shown = await text(page, 'records');
        for (const part of [
          '<img src=x onerror="document.title=1">',
          'a\\x1b[31mb\\u{202e}c',
          '  at some.place(Code:1)',
          '2026-11-23 07:35:05.010\tweb-0001\t',
          'web-0000',
          '/var/log/shop/access.log.1',
          '4096',
          'cut: the record has 123\u202f456 bytes',
        ]) {
          assert.ok(shown.includes(part), `${part}: ${shown}`);
        }
        assert.equal(await drawer.locator('img').count(), 0);
        assert.equal(await page.title(), 'looks · Sunfire');
        assert.match(await text(page, 'records-standing'), /100 % complete · all 7 records/);
        assert.equal(await seen(page, 'records-hint').count(), 0);
        assert.match(await text(page, 'progress'), /1000 of 1000 hosts answered · 5\.0 MB read/);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await picture(page, `records ${colorScheme}`);
        // A link shows what its sender saw.
        await page.reload();
        await drawer.getByText('100 % complete').waitFor();
        assert.equal(parameter(page, 'group'), '["/api"]');
        await drawer.getByRole('button', { name: 'all groups' }).click();
        await page.waitForFunction(() => document.querySelector('.behind .query').innerText.includes('looks` from'));
        await drawer.getByRole('button', { name: 'hosts', exact: true }).click();
        await drawer.getByText('web-0088').waitFor();
      },
      { options: { colorScheme } },
    );
  }

  onPage(
    'who is missing is named, and that less is there than was counted is said',
    '?m=looks&tz=utc',
    async (page) => {
      await drawn(page);
      const { x, y } = await pointPosition(page, middle('settled'), 1);
      await page.mouse.click(x, y);
      await seen(page, 'records-hint').waitFor();
      assert.match(await text(page, 'records-hint'), /counted 5000 records of all hosts; not all of its logs are there/);
      assert.match(await text(page, 'records-standing'), /99 % complete · the first 7 of 70 records · missing:/);
      const missing = await text(page, 'missing-hosts');
      assert.ok(missing.includes('web-0007') && missing.includes('no answer within 120 s'), missing);
      assert.ok(missing.includes('<img src=x'), missing);
      await picture(page, 'records missing');
    },
    { prepare: (scenario) => Object.assign(scenario, { logs: { lacking: true, matched: 70 } }) },
  );

  onPage(
    'below 100 % nobody says that these are all',
    '?m=looks&tz=utc',
    async (page) => {
      await drawn(page);
      const { x, y } = await pointPosition(page, middle('settled'), 1);
      await page.mouse.click(x, y);
      await seen(page, 'missing-hosts').waitFor();
      assert.match(await text(page, 'records-standing'), /99 % complete · 7 records found · missing:/);
    },
    { prepare: (scenario) => Object.assign(scenario, { logs: { lacking: true } }) },
  );

  onPage(
    'other numbers at 100 % are said',
    '?m=looks&tz=utc',
    async (page) => {
      await drawn(page);
      const { x, y } = await pointPosition(page, middle('settled'), 1);
      await page.mouse.click(x, y);
      await seen(page, 'records-hint').waitFor();
      assert.match(await text(page, 'records-hint'), /counted 5000 records in its window, the logs now hold 4990 there/);
    },
    { prepare: (scenario) => Object.assign(scenario, { logs: { records: 4990 } }) },
  );

  onPage('from the keyboard, and closed again', '?m=looks&tz=utc', async (page, scenario) => {
    await drawn(page);
    await page.locator('.chart').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('Enter');
    await seen(page, 'records').waitFor();
    // Several lines have a point there: the records of all are shown.
    assert.ok(queries(scenario).some((q) => /^select \* from log `looks` from /.test(q)));
    // The list can be scrolled from the keyboard.
    for (let n = 0; n < 12; n += 1) {
      if (await page.evaluate(() => document.activeElement.classList.contains('records-box'))) break;
      await page.keyboard.press('Tab');
    }
    assert.ok(await page.evaluate(() => document.activeElement.classList.contains('records-box')));
    await page.keyboard.press('Escape');
    await seen(page, 'drawer').waitFor({ state: 'detached' });
    assert.equal(parameter(page, 'part'), null);
  });

  onPage('from a row of the table, with the latest first', '?m=looks&tz=utc&view=table', async (page, scenario) => {
    await seen(page, 'table').waitFor();
    await page.locator('.points tbody button').first().click();
    await seen(page, 'records').waitFor();
    assert.ok(queries(scenario).some((q) => q.includes("where `path` = '/img' from '2026-11-23T07:44:45.000Z'")));
    await seen(page, 'drawer').getByRole('button', { name: 'latest' }).click();
    await page.waitForFunction(() => document.querySelector('.behind .query').innerText.includes('order by time desc'));
  });

  onPage(
    'whoever closes it has cancelled it',
    '?m=looks&tz=utc',
    async (page, scenario) => {
      await drawn(page);
      const { x, y } = await pointPosition(page, middle('settled'), 1);
      await page.mouse.click(x, y);
      await page.getByRole('progressbar').waitFor();
      assert.match(await text(page, 'records-standing'), /50 % complete · the first 3 of 3 records so far/);
      await seen(page, 'drawer').getByRole('button', { name: 'Close' }).click();
      await seen(page, 'drawer').waitFor({ state: 'detached' });
      await page.waitForTimeout(0);
      for (let n = 0; n < 200 && !scenario.cancelled.length; n += 1) await page.evaluate(() => 0);
      assert.equal(scenario.cancelled.length, 1);
    },
    { prepare: (scenario) => Object.assign(scenario, { hold: true }) },
  );

  onPage('a monitor without a log has hosts alone', '?m=system&tz=utc', async (page) => {
    await drawn(page);
    const { x, y } = await cellPosition(page, 100);
    await page.mouse.click(x, y);
    await seen(page, 'drawer').locator('tbody tr').first().waitFor();
    assert.equal(await seen(page, 'records-of').count(), 0);
    assert.equal(await seen(page, 'drawer').getByRole('button', { name: 'records' }).count(), 0);
  });
});

describe('explore', () => {
  const COUNTS = "select count() as n from log '/var/log/app.log' where app = 'shop' group by op every 1m since 10m";
  const ask = async (page, question) => {
    await seen(page, 'question').fill(question);
    await seen(page, 'question').press('Control+Enter');
  };

  for (const colorScheme of ['light', 'dark']) {
    onPage(
      `a question to logs is answered as a chart and a table: ${colorScheme}`,
      '?tz=utc',
      async (page, scenario) => {
        await page.getByRole('button', { name: 'Explore' }).click();
        await seen(page, 'examples').waitFor();
        await ask(page, COUNTS);
        await page.locator('.u-over').waitFor();
        await seen(page, 'missing-hosts').waitFor();
        assert.ok(queries(scenario).includes(COUNTS));
        assert.match(await text(page, 'overall'), /0 of 8 windows complete · missing at most: /);
        assert.match(await text(page, 'progress'), /1000 of 1000 hosts answered/);
        assert.ok((await text(page, 'missing-hosts')).includes('web-0007'));
        assert.match(await page.locator('.points tbody tr').first().innerText(), /pay\s+1007/);
        assert.deepEqual(await page.evaluate(contrasts), []);
        await picture(page, `explore ${colorScheme}`);
        await page.reload();
        await page.locator('.u-over').waitFor();
        assert.equal(parameter(page, 'q'), COUNTS);
      },
      { options: { colorScheme }, prepare: (scenario) => Object.assign(scenario, { logs: { lacking: true } }) },
    );
  }

  onPage(
    'it shows what has come so far, and is cancelled by a button',
    '?tz=utc&view=explore',
    async (page, scenario) => {
      await ask(page, COUNTS);
      await page.getByRole('progressbar').waitFor();
      await page.locator('.u-over').waitFor();
      assert.match(await text(page, 'overall'), /0 of 8 windows complete · 8 still open · missing at most: 600 open · so far/);
      await page.getByRole('button', { name: 'Cancel' }).click();
      await seen(page, 'cancelled').waitFor();
      assert.equal(await page.getByRole('progressbar').count(), 0);
      for (let n = 0; n < 200 && !scenario.cancelled.length; n += 1) await page.evaluate(() => 0);
      assert.deepEqual(scenario.cancelled, [COUNTS]);
      await picture(page, 'explore cancelled');
    },
    { prepare: (scenario) => Object.assign(scenario, { hold: true }) },
  );

  onPage('records and stored points are answered there as well', '?tz=utc&view=explore', async (page) => {
    await ask(page, "select * from log '/var/log/app.log' where app = 'shop' since 10m limit 50");
    await seen(page, 'records').waitFor();
    await ask(page, 'select * from looks since 15m');
    await page.locator('.u-over').waitFor();
    assert.match(await text(page, 'overall'), /of \d+ windows complete/);
  });

  onPage(
    'what is refused is said, with what to do',
    '?tz=utc&view=explore',
    async (page) => {
      await ask(page, "select * from log 'x'");
      const said = page.getByRole('alert');
      await said.getByText('a log’s path is absolute').waitFor();
      assert.match(await said.innerText(), /begin it with/);
      assert.equal(await seen(page, 'progress').count(), 0);
    },
    {
      prepare: (scenario) =>
        Object.assign(scenario, {
          logs: { refused: { status: 'error', errorType: 'bad_data', error: 'a log’s path is absolute', hint: 'begin it with /' } },
        }),
      allow: NETWORK,
    },
  );
});

describe('what is asked', () => {
  onPage('ranges, and a name that is no word', '?m=pay+flow', async (page, scenario) => {
    await drawn(page);
    assert.deepEqual(queries(scenario).slice(0, 1), ['select * from `pay flow` since 15m']);
    await seen(page, 'ranges').getByText('24h').click();
    await page.getByText('select * from `pay flow` every 2m since 1d').waitFor();
    await page.waitForFunction(() => document.querySelector('.plot').chart.data[0].length >= 720);
    assert.equal(parameter(page, 'r'), '24h');
    await page.goBack();
    await page.getByText('select * from `pay flow` since 15m').waitFor();
  });

  onPage(
    'a drag zooms, asks for the stretch alone, and back undoes it',
    '?m=looks&tz=utc&r=1h',
    async (page, scenario) => {
      await drawn(page);
      const from = await cellPosition(page, 360);
      const to = await cellPosition(page, 479);
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(to.x, to.y, { steps: 4 });
      await page.mouse.up();
      await urlHas(page, (search) => search.has('from'));
      assert.equal(parameter(page, 'w'), null, 'a drag is no click');
      await seen(page, 'zoomed').waitFor();
      // Only once the answer is drawn has it surely been asked for.
      await page.waitForFunction(() => document.querySelector('.plot').chart.data[0].length < 130);
      const query = queries(scenario).at(-1);
      assert.match(query, /^select \* from looks from 2026-11-23T07:1\S+ to 2026-11-23T07:2\S+$/);
      await page.getByRole('button', { name: '← back' }).click();
      await seen(page, 'ranges').waitFor();
      assert.equal(parameter(page, 'from'), null);
      await page.waitForFunction(() => document.querySelector('.plot').chart.data[0].length === 720);
    },
  );

  onPage(
    'a zoom that came by link can be left too',
    '?m=looks&from=2026-11-23T07:35:00Z&to=2026-11-23T07:36:00Z',
    async (page) => {
      await seen(page, 'zoomed').waitFor();
      await page.getByRole('button', { name: '← back' }).click();
      await seen(page, 'ranges').waitFor();
    },
  );

  onPage('refresh asks again, stops on a hidden page and when it is off', '?m=quiet', async (page) => {
    // As the page issues them: when they arrive is another matter, and could be behind a click that ends them.
    let issued = 0;
    page.on('request', (request) => {
      issued += Number(request.url().includes('/api/v1/query'));
    });
    await page.clock.install({ time: NOW });
    await page.goto(`${fake.url}?m=looks&refresh=1`);
    await drawn(page);
    const asked = () => issued;
    const grows = async (before) => {
      for (let n = 0; asked() <= before && n < 50; n += 1) await page.clock.runFor(500);
      assert.ok(asked() > before, 'it asks');
    };
    await grows(asked());
    const hide = (hidden) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await hide(true);
    // The question under way may still end; from then on nothing is asked.
    await page.clock.runFor(2000);
    const hidden = asked();
    await page.clock.runFor(120_000);
    assert.equal(asked(), hidden, 'a hidden page asks nothing');
    await hide(false);
    await grows(hidden);
    await seen(page, 'refresh').getByText('off').click();
    await page.getByText('refresh is off').waitFor();
    await page.clock.runFor(2000);
    const off = asked();
    // Well into the third minute: the last answer may be a little younger than the click.
    await page.clock.runFor(150_000);
    assert.equal(asked(), off);
    assert.match(await text(page, 'age'), /updated 2 min .*ago, refresh is off/);
  });

  onPage('the legend hides and isolates, and the URL says it', '?m=looks', async (page) => {
    await drawn(page);
    const series = (n) =>
      page.waitForFunction((wanted) => document.querySelector('.plot').chart.data.length === wanted + 1, n);
    await series(3);
    await page.getByRole('checkbox', { name: 'show /health' }).uncheck();
    await series(2);
    assert.equal(parameter(page, 'hide'), '["/health"]');
    await page.getByRole('button', { name: '/img' }).click();
    await series(1);
    assert.equal(parameter(page, 'only'), '["/img"]');
    await page.reload();
    await drawn(page);
    await series(1);
    await page.getByRole('button', { name: '/img' }).click();
    await series(2);
  });

  onPage('of many groups the greatest are drawn and the rest is said', '?m=many', async (page) => {
    await drawn(page);
    assert.match(
      await text(page, 'rest'),
      /8 of 30 groups, those with the greatest sum of total in this range; 22 not drawn/,
    );
    await page.getByRole('button', { name: 'Draw 16' }).click();
    await page.waitForFunction(() => document.querySelectorAll('[data-test=legend] tbody tr').length === 16);
    assert.equal(parameter(page, 'top'), '16');
  });

  onPage('the system table: families of outputs, columns that say something', '?m=system', async (page) => {
    await drawn(page);
    const header = () => page.locator('[data-test=legend] thead').innerText();
    assert.match(await text(page, 'outputs'), /cpu\s+util\s+user/);
    assert.doesNotMatch(await header(), /mount/, 'a column that is empty is left out');
    await page.getByRole('tab', { name: 'disk.used_percent' }).click();
    await page.waitForFunction(() => document.querySelector('[data-test=legend] thead').innerText.includes('mount'));
    assert.equal(await page.locator('[data-test=legend] tbody tr').count(), 8);
    await page.getByRole('tab', { name: 'mem.used' }).click();
    await page.waitForFunction(() => document.querySelector('[data-test=legend] tbody').innerText.includes('9 GiB'));
    await picture(page, 'system');
  });
});

describe('tables and files', () => {
  async function download(page, name) {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
    return readFile(await file.path(), 'utf8');
  }

  onPage('the table says of every value how complete it is', '?m=looks&tz=utc&view=table', async (page) => {
    await seen(page, 'table').waitFor();
    const first = await page.locator('.points tbody tr').first().innerText();
    assert.match(first, /2026-11-23 07:44:45\s+\/img\s+\d+\s+[\d.]+ ms\s+40 %\s+400\/1000\s+600 open\s+open/);
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.points tbody tr').length === 400);
    await page.locator('.points tbody button').first().click();
    await seen(page, 'drawer').waitFor();
  });

  onPage('texts of logs do nothing, and every digit is kept', '?m=nasty&view=table', async (page) => {
    await seen(page, 'table').waitFor();
    const shown = await text(page, 'table');
    for (const part of [
      '<img src=x onerror="document.title=1">',
      '=1+1',
      'a\\x1b[31mb\\u{202e}c',
      '12\u202f345\u202f678\u202f901\u202f234\u202f567\u202f890.123456789',
    ]) {
      assert.ok(shown.includes(part), part);
    }
    assert.equal(await page.title(), 'nasty · Sunfire');
    assert.equal(await page.locator('.table-box img').count(), 0);
    const csv = await download(page, 'CSV');
    assert.ok(csv.includes(",'=1+1,12345678901234567890.123456789,100,1000,1000,"), csv.slice(0, 400));
    const json = await download(page, 'JSON');
    assert.ok(json.includes('"sum":12345678901234567890.123456789'));
    assert.equal(JSON.parse(json).status, 'success');
  });
});

describe('a monitor that is well and has something to say', () => {
  onPage(
    'names the column of too many groups, and its cost',
    '?m=looks',
    async (page) => {
      await drawn(page);
      const said = await seen(page, 'notice').allTextContents();
      assert.deepEqual(said, [
        'In its newest window: more than 1000, mostly by <i>uri</i>: 45213 different values.',
        'it is estimated to take 80 ms of CPU a second on map-1, its limit is 50',
      ]);
      await picture(page, 'notices');
    },
    {
      prepare: (scenario) => {
        scenario.monitors = scenario.monitors.map((monitor) =>
          monitor.name === 'looks'
            ? {
                ...monitor,
                overflow: { groups: 1000, columns: ['<i>uri</i>'], values: 45213, or_more: false },
                notices: ['it is estimated to take 80 ms of CPU a second on map-1, its limit is 50'],
              }
            : monitor,
        );
      },
    },
  );
});

describe('the cluster', () => {
  const fine = (scenario) => {
    scenario.monitors = scenario.monitors
      .slice(0, 2)
      .map((monitor) => ({ ...monitor, below: 0, below_windows: [], troubles: [], reduce: 'reduce-1', shards: [] }))
      .map((monitor) => ({ ...monitor, newest: new Date(NOW - 2 * monitor.window_ms).toISOString() }));
  };

  onPage(
    'says in one sentence that all is well, and who does what',
    '?view=cluster',
    async (page) => {
      await page.getByText(/All is well: 3 nodes, 2 monitors, nothing below 100 %/).waitFor();
      const nodes = await text(page, 'cluster-nodes');
      assert.match(nodes, /map\s+map-1\s+127\.0\.0\.1:9\s+answers\s+60 min/);
      assert.match(nodes, /12 logs, 4711 pulls, .* read/);
      assert.match(await text(page, 'sharing'), /12 logs pulled for 31 uses by monitors: 61 % of pulls saved/);
      await picture(page, 'cluster');
      await page.getByRole('button', { name: 'Chart', exact: true }).click();
      await drawn(page);
    },
    { prepare: fine },
  );

  onPage(
    'names what is wrong, worst first, and texts do nothing',
    '?view=cluster&theme=dark',
    async (page) => {
      const verdict = await text(page, 'verdict');
      assert.match(verdict, /^\d+ things? to look at\nmap map-2 dead: no connection for 4 s: <b>refused<\/b>/);
      assert.equal(await page.locator('main b').filter({ hasText: 'refused' }).count(), 0, 'no markup from texts');
      await picture(page, 'cluster in trouble');
      await seen(page, 'cluster').getByRole('button', { name: /^looks/ }).first().click();
      await drawn(page);
      assert.equal(parameter(page, 'm'), 'looks');
      assert.equal(parameter(page, 'view'), null);
    },
    {
      prepare: (scenario) => {
        const [brain, reduce, map] = nodesOf();
        const dead = { ...map, node: 'map-2', life: 'dead', trouble: 'no connection for 4 s: <b>refused</b>', figures: {} };
        scenario.cluster = { nodes: [brain, reduce, map, dead] };
      },
    },
  );

  onPage(
    'without its Brain the page says that nodes are not known',
    '?view=cluster',
    async (page, scenario) => {
      await seen(page, 'cluster').waitFor();
      scenario.failing = { path: '/api/v1/cluster', status: 503, error: 'the brain does not answer' };
      await page.getByText('The Brain does not answer: what is shown of nodes is not known now.').waitFor();
    },
    { allow: NETWORK },
  );
});

describe('when things are not well', () => {

  onPage(
    'monitors that need attention stand first, mistakes on top of them',
    '?m=looks',
    async (page) => {
      await drawn(page);
      const mistakes = await text(page, 'mistakes');
      assert.match(
        mistakes,
        /sunfire-data\/config\/pay\.yaml:12:7\s+unknown aggregate `cuont`\s+.*did you mean `count`\?/s,
      );
      const names = await page.locator('[data-test=monitors] .title').allInnerTexts();
      assert.deepEqual(names.slice(0, 4), ['pay flow', 'stalled', 'looks', 'quiet']);
      const listed = await text(page, 'monitors');
      assert.match(listed, /pay flow[\s\S]*no host of app `pay` can be reached/);
      assert.match(listed, /no new window for 9 min/);
      assert.match(listed, /35 windows below 100 % · 700 unreachable/);
      assert.match(await text(page, 'newest'), /newest window ended \d+ s ago/);
      await picture(page, 'light');
    },
    {
      prepare: (scenario) => {
        scenario.mistakes = MISTAKES;
      },
    },
  );

  onPage(
    'a token is asked for, kept in the tab alone, and sent',
    '?m=looks',
    async (page) => {
      await seen(page, 'token').waitFor();
      await page.getByRole('textbox', { name: 'Token' }).fill('wrong');
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByText('The token is not right').waitFor();
      await page.getByRole('textbox', { name: 'Token' }).fill('secret');
      await page.getByRole('button', { name: 'Go on' }).click();
      await drawn(page);
      assert.deepEqual(
        await page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie]),
        [['secret'], [], ''],
      );
      assert.ok(!page.url().includes('secret'));
    },
    {
      prepare: (scenario) => {
        scenario.token = 'secret';
      },
      allow: NETWORK,
    },
  );

  onPage(
    'a server that is away is said, and its return is seen',
    '?m=looks&refresh=1',
    async (page) => {
      await drawn(page);
      await fake.leave();
      try {
        await seen(page, 'stale').waitFor();
        await page.waitForFunction(() =>
          /The server is away for \d+ s.*What you see is \d+ s old .* not being updated/s.test(
            document.querySelector('[data-test=stale]').innerText,
          ),
        );
        assert.ok(await page.locator('.chart.stale').isVisible());
        await picture(page, 'away');
      } finally {
        await fake.comeBack();
      }
      await seen(page, 'stale').waitFor({ state: 'detached' });
      assert.equal(await page.locator('.chart.stale').count(), 0);
    },
    { allow: NETWORK },
  );

  onPage(
    'errors of the server are said in its words',
    '?m=looks&refresh=1',
    async (page, scenario) => {
      await drawn(page);
      scenario.failing = { status: 503, error: 'the store does not answer' };
      await page.getByText(/The server is in trouble.*the store does not answer/).waitFor();
      scenario.failing = { status: 400, error: 'unknown column `x`' };
      await page.getByText(/The server refuses the question: unknown column `x`/).waitFor();
    },
    { allow: NETWORK },
  );

  onPage(
    'a list of monitors that fails alone is said beside the list',
    '?m=looks&refresh=1',
    async (page, scenario) => {
      await drawn(page);
      scenario.failing = { path: '/api/v1/monitors', status: 503, error: 'the brain does not answer' };
      await page.getByText(/This list is .* old and is not being updated: the brain does not answer/).waitFor();
      assert.equal(await seen(page, 'stale').count(), 0, 'the chart goes on');
      scenario.failing = { path: '/api/v1/cluster', status: 503, error: 'the brain does not answer' };
      await page.getByText('The nodes are not known').waitFor();
      await seen(page, 'stale-list').waitFor({ state: 'detached' });
    },
    { allow: NETWORK },
  );

  onPage(
    'without a monitor the page says how to go on',
    '',
    async (page) => {
      const said = await text(page, 'empty');
      assert.match(said, /sunfire up \/var\/log/);
      assert.match(said, /which is sunfire-data\/config where/);
      assert.match(said, /kind: monitor/);
      await picture(page, 'empty');
    },
    {
      prepare: (scenario) => {
        scenario.monitors = [];
      },
    },
  );

  onPage('a monitor that is gone, and one without points', '?m=gone', async (page) => {
    await page.getByText('No monitor gone').waitFor();
    await page.getByRole('button', { name: /^quiet/ }).click();
    await seen(page, 'no-points').waitFor();
    assert.match(
      await text(page, 'no-points'),
      /Nothing was answered in this range\. This monitor has not answered any window yet/,
    );
    await page.getByRole('button', { name: 'Look at 24 hours' }).click();
    await urlHas(page, (search) => search.get('r') === '24h');
  });
});
