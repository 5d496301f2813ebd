// The page against a real `sunfire up`, as its first user sees it: a log is written, its lines are on the chart within
// seconds, and what the page shows is what the API says and what was written. Needs the path of the program in
// SUNFIRE_BIN, since these tests build nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { launch, missingBrowser, openPage, picture } from './browser.mjs';
import { cellPosition } from './canvas.mjs';
import { skipped } from './skip.mjs';

/** After a first start there are points of everything within so long; this is promised to users. */
const FIRST_POINTS_MS = 10_000;
/** How long a test waits for what must come; only a failure takes so long. */
const DEADLINE_MS = 60_000;
/** Between two looks whether it is there: asking without a pause would take the CPU that it needs. */
const POLL_MS = 200;
/** Five lines a second. */
const WRITE_MS = 200;
/** Text that would act, were it shown as it is; in the log it ends with a byte that is no UTF-8. */
const HOSTILE = '<img src=x onerror=alert(1)> \u001b[31mred \u202egpj';
const LEVELS = ['INFO', 'INFO', 'WARN', 'INFO', 'ERROR'];
const NAMES = ['sunfire_http', 'system', 'app'];
/** Windows whose numbers are compared. */
const COMPARED_S = 8;

const missing = process.env.SUNFIRE_BIN ? missingBrowser() : 'SUNFIRE_BIN does not name a sunfire binary';
let up;
let browser;

/** A log with a line each time the clock ticks; `written` counts them by second and level. */
function startWriter(log) {
  const written = new Map();
  let turn = 0;
  writeFileSync(log, '');
  const write = () => {
    const level = LEVELS[turn % LEVELS.length];
    turn += 1;
    const now = new Date();
    appendFileSync(log, `${now.toISOString()} ${level} request ${turn} served\n`);
    const key = `${now.toISOString().slice(0, 19)}Z ${level}`;
    written.set(key, (written.get(key) ?? 0) + 1);
  };
  // What a log looks like is told by what it holds.
  LEVELS.forEach(write);
  const timer = setInterval(write, WRITE_MS);
  return { written, stop: () => clearInterval(timer) };
}

/** Starts `sunfire up` on a log in a folder of its own; `stop` ends it and removes the folder. */
async function startUp(binary) {
  const folder = mkdtempSync(join(tmpdir(), 'sunfire-browser-'));
  const log = join(folder, 'app.log');
  const writer = startWriter(log);
  const startedMs = Date.now();
  const child = spawn(binary, ['up', log, '--listen', '127.0.0.1:0'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const lines = createInterface({ input: child.stderr });
  const said = [];
  const first = new Promise((resolve) => {
    lines.on('line', (line) => said.push(line) && resolve());
    lines.on('close', resolve);
  });
  await first;
  const url = /^sunfire is up: (http:\S+)$/.exec(said[0])?.[1];
  if (!url) throw new Error(`it did not come up: ${said.join('\n')}`);
  return {
    url: `${url}/`,
    log: realpathSync(log),
    startedMs,
    written: writer.written,
    said: () => said.join('\n'),
    async stop() {
      writer.stop();
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The answer to a question. */
async function ask(mql) {
  const url = new URL('api/v1/query', up.url);
  url.searchParams.set('q', mql);
  const answer = await (await fetch(url)).json();
  assert.equal(answer.status, 'success', `${mql}: ${answer.error}`);
  return answer.data;
}

/** Looks until there is something to answer. */
async function until(deadlineMs, look, what) {
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadlineMs, `not in time: ${what}\n${up.said()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');
const seen = (page, test) => page.locator(`[data-test=${test}]`);
const entry = (page, name) => seen(page, 'monitors').locator('.monitor', { has: page.getByText(name, { exact: true }) });

/** A test with a page on `search`; the page must have had nothing to complain about at its end. */
function onPage(name, search, work, options = {}, allow = null) {
  test(name, async (context) => {
    if (missing) return skipped(context, missing);
    const opened = await openPage(browser, `${up.url}${typeof search === 'function' ? search() : search}`, options);
    opened.page.setDefaultTimeout(DEADLINE_MS);
    try {
      await work(opened.page);
    } catch (error) {
      await picture(opened.page, `failed up ${name}`);
      throw error;
    } finally {
      await opened.close();
    }
    const complaints = opened.complaints.filter((complaint) => !allow?.test(complaint));
    assert.deepEqual(complaints, [], 'the page complained');
  });
}

/** The newest windows of the log that are over, complete, and no longer open. */
async function closedWindows() {
  const over = async () => {
    const to = Math.floor(Date.now() / 1000) * 1000 - 3000;
    const from = to - COMPARED_S * 1000;
    const { points } = await ask(`select * from app from ${iso(from)} to ${iso(to)}`);
    const windows = new Set(points.map(({ window }) => window));
    const closed = points.every(({ state, completeness }) => state !== 'open' && completeness.percent === 100);
    return from > up.startedMs && windows.size === COMPARED_S && closed ? { from, to, points } : null;
  };
  return until(Date.now() + DEADLINE_MS, over, 'windows that are over and complete');
}

before(async () => {
  if (missing) return;
  browser = await launch();
  up = await startUp(process.env.SUNFIRE_BIN);
});
after(async () => {
  await up?.stop();
  await browser?.close();
});

describe('sunfire up in a browser', () => {
  onPage('everything has points within seconds of the first start', '?refresh=1', async (page) => {
    const deadline = up.startedMs + FIRST_POINTS_MS;
    const hasValues = (name) => async () => {
      const { points } = await ask(`select * from ${name} since 1m`);
      return points.some(({ values }) => Object.values(values).some((value) => value !== null));
    };
    for (const name of NAMES) await until(deadline, hasValues(name), `points of ${name}`);
    for (const name of NAMES) await entry(page, name).waitFor();
    // Nobody had to choose anything for the first chart.
    await page.locator('.u-over').waitFor();
    assert.ok(Date.now() < deadline, 'the page shows them in time');
    assert.equal(await seen(page, 'mistakes').count(), 0);
  });

  onPage('each monitor can be chosen and has a chart', '?refresh=1&r=5m', async (page) => {
    for (const [name, output, legend] of [
      ['app', 'records', 'INFO'],
      ['sunfire_http', 'requests', '/api/v1/query'],
      ['system', 'cpu.util', hostname()],
    ]) {
      await entry(page, name).click();
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
      assert.equal(new URL(page.url()).searchParams.get('m'), name);
      assert.equal(await page.getByRole('tab', { selected: true }).getAttribute('data-output'), output);
      await page.locator('.u-over').waitFor();
      const row = seen(page, 'legend').locator('tbody tr', { hasText: legend }).first();
      await row.waitFor();
      // A value, not only a line in the legend.
      await page.waitForFunction(
        (text) =>
          [...document.querySelectorAll('[data-test=legend] tbody tr')].some(
            (found) => found.innerText.includes(text) && /\d/.test(found.querySelector('td.number').innerText),
          ),
        legend,
      );
      await picture(page, `up ${name} light`);
    }
  });

  onPage('the table shows the numbers of the API, and they are what was written', '?refresh=0', async (page) => {
    const { from, to, points } = await closedWindows();
    const range = `from=${iso(from)}&to=${iso(to)}`;
    await page.goto(`${up.url}?m=app&view=table&tz=utc&refresh=0&${range}`);
    const rows = seen(page, 'table').locator('tbody tr');
    await rows.first().waitFor();
    const shown = await rows.evaluateAll((all) =>
      all.map((row) => [...row.querySelectorAll('td')].slice(0, 6).map((cell) => cell.innerText.trim())),
    );
    const expected = points.map(({ window, group, values, completeness }) => [
      window.replace('T', ' ').replace('Z', ''),
      group.level,
      String(values.records),
      String(values.lines),
      `${completeness.percent} %`,
      `${completeness.ok}/${completeness.expected}`,
    ]);
    assert.deepEqual(shown, expected.reverse());
    const written = [...up.written].filter(([key]) => key >= iso(from) && key < iso(to));
    const counted = points.map(({ window, group, values }) => [`${window} ${group.level}`, values.records]);
    assert.deepEqual(counted, written.sort(([a], [b]) => (a < b ? -1 : 1)));
  });

  onPage('the pointer reads the numbers of the API, and a click shows the records and the hosts', '?refresh=0', async (page) => {
    const { from, to, points } = await closedWindows();
    await page.goto(`${up.url}?m=app&tz=utc&refresh=0&from=${iso(from)}&to=${iso(to)}`);
    await page.locator('.u-over').waitFor();
    const at = 2;
    const { x, y } = await cellPosition(page, at);
    await page.mouse.move(x, y);
    const tooltip = seen(page, 'tooltip');
    await tooltip.getByText('1/1 host').first().waitFor();
    const lines = (await tooltip.innerText()).split(/\n+/).map((line) => line.trim());
    for (const { group, values } of points.filter(({ window }) => window === iso(from + at * 1000))) {
      assert.ok(lines.includes(`${group.level}\t${values.records}`), `${group.level} in ${lines.join(' | ')}`);
    }
    await page.mouse.click(x, y);
    await seen(page, 'records').waitFor();
    const group = JSON.parse(new URL(page.url()).searchParams.get('group'));
    const behind = points.filter(
      (point) => point.window === iso(from + at * 1000) && (!group || point.group.level === group[0]),
    );
    const records = behind.reduce((sum, { values }) => sum + values.records, 0);
    await page.waitForFunction(
      (n) => document.querySelectorAll('[data-test=records] tbody tr').length === n,
      records,
    );
    assert.match(await seen(page, 'records-standing').innerText(), new RegExp(`100 % complete · all ${records} record`));
    const line = await seen(page, 'records').locator('tbody tr').first().innerText();
    assert.ok(line.includes(hostname()) && line.includes(up.log) && /request \d+ served/.test(line), line);
    assert.equal(await seen(page, 'records-hint').count(), 0);
    await picture(page, 'up records light');
    await seen(page, 'drawer').getByRole('button', { name: 'hosts', exact: true }).click();
    const host = seen(page, 'drawer').locator('tbody tr');
    await host.first().waitFor();
    assert.equal(await host.count(), 1);
    assert.match(await host.innerText(), new RegExp(`^${hostname()}[\\s\\S]*ok`));
    assert.equal(new URL(page.url()).searchParams.get('w'), new Date(from + at * 1000).toISOString());
    await picture(page, 'up drawer light');
  });

  onPage('a question to the log is answered in explore, as values and as records', '?view=explore&tz=utc', async (page) => {
    const { from, to, points } = await closedWindows();
    const range = `from ${iso(from)} to ${iso(to)}`;
    const ask = async (question) => {
      await seen(page, 'question').fill(question);
      await page.getByRole('button', { name: 'Ask', exact: true }).click();
    };
    await ask(`select count() as n from log '${up.log}' where app = 'local' every 1s ${range}`);
    await page.locator('.u-over').waitFor();
    await seen(page, 'progress').getByText('1 of 1 host answered').waitFor();
    assert.match(await seen(page, 'overall').innerText(), /every window is complete/);
    const counted = (await page.locator('.points tbody tr td:nth-child(2)').allInnerTexts()).map(Number);
    const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);
    assert.equal(sum(counted), sum(points.map(({ values }) => values.records)));
    await picture(page, 'up explore light');
    await ask(`select * from log app where level = 'ERROR' ${range} order by time desc limit 3`);
    await seen(page, 'records').waitFor();
    const texts = await seen(page, 'records').locator('tbody td:last-child').allInnerTexts();
    assert.ok(texts.length === 3 && texts.every((text) => / ERROR request \d+ served$/.test(text)), texts.join('\n'));
    await ask('select * from log system since 5m');
    await page.getByRole('alert').getByText('there are no records').waitFor();
  }, {}, /Failed to load resource.*422/);

  onPage('a log is found on its host, with how it is stamped and its last lines', '?refresh=0', async (page) => {
    const line = `${new Date().toISOString()} INFO ${HOSTILE}`;
    appendFileSync(up.log, Buffer.concat([Buffer.from(line), Buffer.from([0xff, 0x0a])]));
    await page.locator('.to-hosts').click();
    // The agent of `up` is a part of its process, which is not shut in: that is said.
    await seen(page, 'open-agents').waitFor();
    await seen(page, 'hosts').getByRole('button', { name: hostname() }).first().click();
    await seen(page, 'agent').waitFor();
    assert.match(await seen(page, 'agent').innerText(), /sandbox: off, user \S+/);
    assert.match(await seen(page, 'sandbox-warning').innerText(), /landlock is off/);
    const folder = up.log.slice(0, up.log.lastIndexOf('/'));
    await seen(page, 'roots').getByRole('button', { name: folder, exact: true }).click();
    await seen(page, 'folder').getByRole('button', { name: 'app.log', exact: true }).click();
    await seen(page, 'detection').waitFor();
    const found = await seen(page, 'detection').innerText();
    assert.match(found, /sample\s+⟦2\d{3}-\d\d-\d\dT[\d:.]+Z⟧ INFO request 1 served/);
    assert.match(found, /zone\s+in line/);
    const tail = seen(page, 'tail');
    await tail.waitFor();
    const shown = await tail.innerText();
    assert.ok(shown.includes(`<img src=x onerror=alert(1)> \\x1b[31mred \\u{202e}gpj\\xff`), shown);
    assert.equal(await tail.locator('img').count(), 0);
    await picture(page, 'up hosts light');
    // A link shows what its sender saw.
    await page.reload();
    await tail.waitFor();
    assert.equal(new URL(page.url()).searchParams.get('file'), up.log);
  });

  onPage(
    'what the agent refuses is said',
    () => `?view=hosts&refresh=0&app=local&host=${hostname()}&path=/tmp/..`,
    async (page) => {
      const refused = seen(page, 'no-folder');
      await refused.waitFor();
      assert.match(await refused.innerText(), /holds `\.\.`/);
    },
    {},
    /Failed to load resource.*403/,
  );

  onPage(
    'at night, and on its own feet while time goes by',
    '?m=app&refresh=1&r=5m',
    async (page) => {
      await page.locator('.u-over').waitFor();
      const newest = () => page.evaluate(() => document.querySelector('.plot').chart.data[0].at(-1));
      const first = await newest();
      await until(Date.now() + DEADLINE_MS, async () => (await newest()) > first, 'a newer window on the chart');
      await picture(page, 'up app dark');
      await entry(page, 'system').click();
      await page.getByRole('tab', { name: 'mem.used' }).click();
      await seen(page, 'legend').locator('tbody tr', { hasText: hostname() }).first().waitFor();
      await picture(page, 'up system dark');
    },
    { colorScheme: 'dark' },
  );
});
