// Numbers, times and durations as people read them. Pure.
import { Exact, numberOf } from './exact.js';
import { grouped, visible } from './text.js';

const UNITS = [
  [/(^|[._])percent$|^cpu\.|\.util$/, '%'],
  [/^(disk\.(read|written)|net\.(received|sent))$/, 'B/s'],
  [/(^|[._])bytes$|^mem\./, 'B'],
  [/_ns$/, 'ns'],
  [/_us$/, 'µs'],
  [/_ms$/, 'ms'],
  [/_(s|seconds)$/, 's'],
];

/** The unit that an output's name ends with; DESIGN puts units last in names. */
export function unitOf(output) {
  return UNITS.find(([pattern]) => pattern.test(output))?.[1] ?? '';
}

const TIME_SCALE = { ns: 1e-9, µs: 1e-6, ms: 1e-3, s: 1 };
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A short text for axes and legends: three or four digits that count, and the unit. */
export function short(value, unit = '') {
  const number = numberOf(value);
  if (number === null) return value === null || value === undefined ? '–' : visible(value);
  if (unit === 'B' || unit === 'B/s') return bytes(number, unit);
  if (unit in TIME_SCALE) return time(number, unit);
  if (unit === '%') return `${digits(number)} %`;
  return `${scaled(number)}${unit ? ` ${unit}` : ''}`;
}

/** A full text for tooltips and tables: every digit, in groups of three. */
export function full(value, unit = '') {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'string') return visible(value);
  const suffix = unit ? ` ${unit}` : '';
  const text = value instanceof Exact ? value.source : plain(value);
  const [, sign, whole, rest] = /^(-?)(\d+)(.*)$/.exec(text) ?? [null, '', text, ''];
  return `${sign}${grouped(whole)}${rest}${suffix}`;
}

/** As `full`, but with at most six digits behind the point: for places that are read, not copied. */
export function exactish(value, unit = '') {
  if (typeof value === 'number' && !Number.isInteger(value)) {
    return full(Number(value.toFixed(Math.abs(value) >= 1000 ? 2 : Math.abs(value) >= 1 ? 4 : 6)), unit);
  }
  return full(value, unit);
}

function plain(number) {
  return Math.abs(number) < 1e21 ? String(number) : BigInt(Math.round(number)).toString();
}

function digits(number) {
  const size = Math.abs(number);
  if (size === 0) return '0';
  if (size >= 1000) return full(Math.round(number));
  const fraction = size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return String(Number(number.toFixed(fraction)) || Number(number.toPrecision(2)));
}

function scaled(number) {
  const size = Math.abs(number);
  for (const [limit, unit, suffix] of [
    [1e12, 1e12, 'T'],
    [1e9, 1e9, 'G'],
    [1e6, 1e6, 'M'],
  ]) {
    if (size >= limit) return `${digits(number / unit)} ${suffix}`;
  }
  return digits(number);
}

function bytes(number, unit) {
  let at = 0;
  let value = number;
  while (Math.abs(value) >= 1024 && at < BYTE_UNITS.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${digits(value)} ${BYTE_UNITS[at]}${unit === 'B/s' ? '/s' : ''}`;
}

function time(number, unit) {
  const seconds = number * TIME_SCALE[unit];
  const size = Math.abs(seconds);
  if (size === 0) return `0 ${unit}`;
  if (size >= 1) return size >= 120 ? `${digits(seconds / 60)} min` : `${digits(seconds)} s`;
  const [name, scale] = size >= 1e-3 ? ['ms', 1e3] : size >= 1e-6 ? ['µs', 1e6] : ['ns', 1e9];
  return `${digits(seconds * scale)} ${name}`;
}

const two = (n) => String(n).padStart(2, '0');

/** `07:31:05`, with milliseconds where they are not zero. */
export function clock(ms, zone) {
  const date = shifted(ms, zone);
  const fraction = date.getUTCMilliseconds();
  const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return fraction ? `${text}.${String(fraction).padStart(3, '0')}` : text;
}

/** `2026-11-23`. */
export function day(ms, zone) {
  return shifted(ms, zone).toISOString().slice(0, 10);
}

/** `2026-11-23 07:31:05`. */
export function dateTime(ms, zone) {
  return `${day(ms, zone)} ${clock(ms, zone)}`;
}

/** The wall clock in `zone` (`utc` or `local`), held in a date's UTC fields. */
function shifted(ms, zone) {
  const offset = zone === 'utc' ? 0 : new Date(ms).getTimezoneOffset();
  return new Date(ms - offset * 60_000);
}

/** `UTC`, or the local offset `UTC+02:00` at that time. */
export function zoneName(zone, ms) {
  const offset = zone === 'utc' ? 0 : -new Date(ms).getTimezoneOffset();
  if (offset === 0) return 'UTC';
  const size = Math.abs(offset);
  return `UTC${offset < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** A span of time in one or two units: `3 s`, `2 min`, `1 h 5 min`, `4 d`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (ms < 1000 && ms > 0) return `${Math.round(ms)} ms`;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return seconds % 60 && minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** A percentage as it is: floored by the server, never rounded up here. */
export function percent(value) {
  return value === null || value === undefined ? 'unknown' : `${value} %`;
}
