// A server with the console's API and its page, whose answers are crafted: what it says is the test's to choose, and it
// can ask for a token, refuse, or be away. It refuses MQL that the real one would not read.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countMoments, hostsOf, MISTAKES, MONITORS, NOW, pointsOf, recordMoments } from './crafted.mjs';

const ASSETS = fileURLToPath(new URL('../../console/assets/', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = String.raw`(\d+)(ms|s|m|h|d)`;
const QUERY = new RegExp(
  String.raw`^select \* from (?:\x60((?:[^\x60]|\x60\x60)+)\x60|([A-Za-z_]\w*))` +
    String.raw`(?: every ${DURATION})? (?:since ${DURATION}|from (\S+Z) to (\S+Z))$`,
);

/** Questions that are answered from logs, and those of them that want records. */
const LOGS = /^select [\s\S]+ from log /;
const RECORDS_OF = new RegExp(
  String.raw`^select \* from log (?:\x60(?:[^\x60]|\x60\x60)+\x60|'\/[^']+')(?: where [\s\S]+)? ` +
    String.raw`(?:from '\S+Z' to '\S+Z'|since \d+m)(?: order by time desc)?(?: limit \d+)?$`,
);

/** Starts it; `scenario` may be changed while it runs. */
export async function startFake() {
  const scenario = { monitors: MONITORS, mistakes: [], token: null, failing: null, cluster: {}, asked: [], cancelled: [], hold: false, logs: {} };
  const sockets = new Set();
  let server;
  let port = 0;
  const open = async () => {
    server = createServer((request, response) => answer(request, response, scenario));
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    port = server.address().port;
  };
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await open();
  return { scenario, url: `http://127.0.0.1:${port}/`, leave: close, comeBack: open, close };
}

export { MISTAKES };

async function answer(request, response, scenario) {
  const url = new URL(request.url, 'http://fake');
  response.sendDate = false;
  response.setHeader('date', new Date(NOW).toUTCString());
  if (!url.pathname.startsWith('/api/')) return page(url.pathname, response);
  scenario.asked.push(`${url.pathname}${url.search}`);
  if (scenario.token && request.headers.authorization !== `Bearer ${scenario.token}`) {
    return json(response, 401, { status: 'error', errorType: 'unauthorized', error: 'a bearer token is needed here' });
  }
  if (scenario.failing && url.pathname.startsWith(scenario.failing.path ?? '/'))
    return json(response, scenario.failing.status, { status: 'error', errorType: 'x', error: scenario.failing.error });
  const question = url.pathname === '/api/v1/query' ? url.searchParams.get('q') : null;
  if (question && LOGS.test(question)) return stream(response, question, scenario);
  const [status, body] = route(url, scenario);
  return json(response, status, body);
}

/** Moments of an answer from logs, one a line; `scenario.hold` keeps the last one back until the page goes away. */
async function stream(response, question, scenario) {
  response.on('close', () => {
    if (!response.writableFinished) scenario.cancelled.push(question);
  });
  if (scenario.logs.refused) return json(response, 422, scenario.logs.refused);
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const moments = RECORDS_OF.test(question) ? recordMoments(scenario.logs) : countMoments(scenario.logs);
  const told = scenario.hold ? moments.slice(0, -1) : moments;
  for (const moment of told) response.write(`${JSON.stringify(moment)}\n\n`);
  if (!scenario.hold) response.end();
  return undefined;
}

function route(url, { monitors, mistakes, cluster }) {
  const data = (value) => [200, { status: 'success', data: value }];
  switch (url.pathname) {
    case '/api/v1/monitors':
      return data({ monitors, mistakes });
    case '/api/v1/cluster':
      return data({ epoch: 3, apps: [], sharing: SHARING, nodes: nodesOf(), ...cluster });
    case '/api/v1/events':
      return data({
        events: [{ time: new Date(NOW - 300_000).toISOString(), kind: 'config', text: 'monitor `looks` changed' }],
      });
    case '/api/v1/hosts':
      return data({ hosts: hostsOf(), inventory_version: 2 });
    case '/api/v1/query':
      return query(url.searchParams.get('q'), monitors);
    default:
      return [404, { status: 'error', errorType: 'not_found', error: 'there is nothing here' }];
  }
}

/** Pulls that monitors share. */
const SHARING = { inputs: 12, inputs_unshared: 31, saved_percent: 61 };

/** A small cluster that answers. */
export function nodesOf() {
  const figures = {
    map: { inputs: 12, inputs_unshared: 31, pulls: 4711, pulls_failed: 0, bytes: 5e6, records: 40_000, held_bytes: 2048 },
    reduce: { monitors: 4, revisions_written: 900, writes_refused: 0 },
    brain: { epoch: 3 },
  };
  return ['brain', 'reduce', 'map'].map((role) => ({
    node: `${role}-1`,
    role,
    address: '127.0.0.1:9',
    life: 'live',
    since: new Date(NOW - 3_600_000).toISOString(),
    trouble: null,
    figures: figures[role],
  }));
}

function query(text, monitors) {
  const match = QUERY.exec(text);
  if (!match) return [400, { status: 'error', errorType: 'bad_data', error: `cannot read ${text}` }];
  const [, quoted, bare, everyN, everyUnit, sinceN, sinceUnit, fromText, toText] = match;
  const monitor = monitors.find(({ name }) => name === (quoted?.replaceAll('``', '`') ?? bare));
  if (!monitor) return [404, { status: 'error', errorType: 'not_found', error: 'no such monitor' }];
  const step = everyN ? everyN * UNITS[everyUnit] : monitor.window_ms;
  const from = sinceN ? NOW - sinceN * UNITS[sinceUnit] : Date.parse(fromText);
  const to = sinceN ? NOW : Date.parse(toText);
  const points = pointsOf(monitor.name, from, to, step);
  return [
    200,
    {
      status: 'success',
      partial: points.some(({ completeness }) => completeness.percent !== 100),
      warnings: [],
      data: {
        points,
        monitor: monitor.name,
        window_ms: step,
        group_by: monitor.group_by,
        outputs: monitor.outputs,
        from: new Date(from).toISOString(),
        to: new Date(to).toISOString(),
      },
    },
  ];
}

function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  // Numbers that no JavaScript value can hold are written into the text.
  response.end(JSON.stringify(body).replaceAll(/"@@([\d.]+)@@"/g, '$1'));
}

/** The page, with the policy that the console sends. */
async function page(path, response) {
  const name = path === '/' ? 'index.html' : normalize(path).replace(/^\/assets\//, '');
  try {
    const body = await readFile(join(ASSETS, name));
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'text/plain',
      'content-security-policy': "default-src 'self'",
    });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}
