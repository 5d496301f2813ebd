// Chromium for the tests: Debian's, headless, with a profile of its own, and a page whose every complaint is kept.
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Pictures for people; outside of git. */
const PICTURES = process.env.SUNFIRE_PICTURES ?? fileURLToPath(new URL('../../target/browser/', import.meta.url));

/** Why there is no browser here, or null. */
export function missingBrowser() {
  return existsSync(EXECUTABLE) ? null : `there is no ${EXECUTABLE}; install chromium, or name one in CHROMIUM`;
}

/** playwright makes a fresh profile in a temporary folder and removes it. */
export function launch() {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS, headless: true });
}

/**
 * A page at `url`. `complaints` collects what a page must never do: throw, log an error, break its content policy.
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    colorScheme: 'light',
    timezoneId: 'Europe/Berlin',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Keeps a picture of the page for people to look at. */
export async function picture(page, name) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
}
