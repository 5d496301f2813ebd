// The page against a real `sunfire up`: a log is written, and its lines are on the chart within seconds. Needs the path
// of the binary in SUNFIRE_BIN, since these tests build nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch, missingBrowser, openPage, picture } from './browser.mjs';
import { skipped } from './skip.mjs';

/** From a line to the chart takes seconds; a loaded machine takes more. */
const DEADLINE_MS = 60_000;
/** Between two questions whether it is ready: asking without a pause would take the CPU that it starts with. */
const POLL_MS = 50;
const LINES = 40;

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts `sunfire up` on a log in a folder of its own; `stop` ends it and removes the folder. */
async function startUp(binary) {
  const folder = mkdtempSync(join(tmpdir(), 'sunfire-browser-'));
  const log = join(folder, 'app.log');
  appendFileSync(log, '');
  const port = await freePort();
  const child = spawn(binary, [
    'up',
    log,
    '--config',
    join(folder, 'config'),
    '--data',
    join(folder, 'data'),
    '--listen',
    `127.0.0.1:${port}`,
  ]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk;
    });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return {
    url: `http://127.0.0.1:${port}/`,
    log,
    said: () => said,
    ended: () => child.exitCode !== null,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Asks until `path` answers with success. */
async function ready(up, path) {
  const until = Date.now() + DEADLINE_MS;
  for (;;) {
    if (up.ended()) throw new Error(`sunfire up ended: ${up.said()}`);
    const answer = await fetch(new URL(path, up.url)).catch(() => null);
    if (answer?.ok) return;
    if (Date.now() > until) throw new Error(`${path} never answered with success: ${up.said()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

test('lines of a log are on the chart', async (context) => {
  const binary = process.env.SUNFIRE_BIN;
  if (!binary) return skipped(context, 'SUNFIRE_BIN does not name a sunfire binary');
  const missing = missingBrowser();
  if (missing) return skipped(context, missing);
  const up = await startUp(binary);
  const browser = await launch();
  try {
    await ready(up, 'readyz');
    const { page, complaints } = await openPage(browser, `${up.url}?refresh=1`);
    page.setDefaultTimeout(DEADLINE_MS);
    const entry = page.locator('[data-test=monitors] .monitor', { hasText: 'app' }).first();
    await entry.click();
    for (let n = 0; n < LINES; n += 1) appendFileSync(up.log, `${new Date().toISOString()} INFO request ${n} served\n`);
    await page.locator('.u-over').waitFor();
    await page.locator('[data-test=legend] tbody tr').first().waitFor();
    await picture(page, 'up');
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    await up.stop();
  }
});
