import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields, MOST_FIELDS } from '../../pipelines/invalid-fields.js';

/** Requests as they arrived. */
export interface Trace {
  /** Milliseconds after the first one, not decreasing. */
  readonly timesMs: Float64Array;
  /** Sizes of each request by the column's name, e.g. `audio_s`, `tokens_in`. */
  readonly sizes: Readonly<Record<string, Float64Array>>;
}

const COLUMN = /^[a-z][a-z0-9_]*$/;

/** Seconds of the first column's unit, by its name; 0: ISO 8601 times. */
const UNITS: Readonly<Record<string, number>> = {
  timestamp_s: 1,
  timestamp_ms: 1e-3,
  timestamp_us: 1e-6,
  timestamp: 0,
};

/** Times without decimals on average this far apart, and that many, are no seconds: one run in twenty seconds is less than a demo. */
const SUSPICIOUS = { gapS: 20, rows: 20 };
/** Whether so many times without decimals, on average so many seconds apart, look like milliseconds. */
export const seemMilliseconds = (rows: number, gapS: number): boolean =>
  rows >= SUSPICIOUS.rows && gapS > SUSPICIOUS.gapS;
/** As seconds since 1970 this is after the year 5000. */
const NO_SECONDS = 1e11;
/** A size that no call has: times of more are no numbers that can be told apart. */
const NO_SIZE = 1e12;

/**
 * A trace of lines `timestamp_s[,size…]`; the first column may be `timestamp_ms`, `timestamp_us` or `timestamp` (ISO 8601)
 * instead. A header line names the sizes; without sizes it may be omitted. Throws `INVALID_TRACE` naming the wrong lines: not
 * a number, unsorted, too few or too many columns, an empty trace, or milliseconds in a column of seconds.
 */
export function readTrace(text: string, file = 'trace.csv'): Trace {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const mistakes: FieldError[] = [];
  const wrong = (line: number, message: string) => mistakes.push({ field: `${file}:${line}`, message });
  const first = lines.findIndex(isData);
  const names = (lines[first] ?? '').split(',').map((name) => name.trim());
  const unit = UNITS[names[0] ?? ''];
  const named = unit !== undefined;
  const columns = named ? names.slice(1) : [];
  for (const [i, column] of columns.entries()) {
    if (!COLUMN.test(column)) wrong(first + 1, `column ${i + 2}, "${column}": name it like tokens_in`);
    if (columns.indexOf(column) < i) wrong(first + 1, `column ${i + 2}: "${column}" is there twice`);
  }
  if (!named && names.length > 1) {
    wrong(first + 1, 'the sizes have no names: begin with a line such as timestamp_s,tokens_in,tokens_out');
  }
  const rows: number[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  // By the text: 60.0 is written with decimals, although it is a whole number.
  let hasDecimals = false;
  const readable = mistakes.length === 0;
  for (
    let i = named ? first + 1 : Math.max(first, 0);
    readable && i < lines.length && mistakes.length < MOST_FIELDS;
    i += 1
  ) {
    const line = lines[i] ?? '';
    if (!isData(line)) continue;
    const row = line.split(',').map((cell, c) => (c === 0 && unit === 0 ? isoSeconds(cell) : numberIn(cell)));
    const [time = Number.NaN, ...sizes] = row;
    if (row.length !== columns.length + 1) {
      wrong(
        i + 1,
        `it has ${row.length} columns, not ${columns.length + 1}: give ${named ? names[0] : 'timestamp_s'}${columns.map((c) => `,${c}`).join('')}`,
      );
    } else if (!row.every(Number.isFinite))
      wrong(i + 1, `"${line.trim()}" is not made of numbers: correct or remove it`);
    else if (sizes.some((size) => size < 0)) wrong(i + 1, 'a size is negative: correct or remove the line');
    else if (sizes.some((size) => size > NO_SIZE))
      wrong(i + 1, `a size is above ${NO_SIZE}: correct or remove the line`);
    else if (Math.abs(time) * (unit || 1) > NO_SECONDS && (unit ?? 1) !== 1)
      wrong(i + 1, `${time} is after the year 5000: correct it, or name the first column by its unit (timestamp_us)`);
    else if (time < last) wrong(i + 1, `${time} comes after ${last}: sort the lines by time`);
    else {
      rows.push(row);
      hasDecimals ||= (line.split(',', 1)[0] ?? '').includes('.');
    }
    if (Number.isFinite(time)) last = Math.max(last, time);
  }
  if (rows.length === 0 && mistakes.length === 0)
    wrong(1, 'the trace is empty: give at least one line timestamp_s[,size…]');
  const start = rows[0]?.[0] ?? 0;
  if (unit === undefined || unit === 1) {
    const gap = ((rows.at(-1)?.[0] ?? 0) - start) / Math.max(1, rows.length - 1);
    const isSuspicious = !hasDecimals && seemMilliseconds(rows.length, gap);
    if (Math.max(...[start, rows.at(-1)?.[0] ?? 0].map(Math.abs)) > NO_SECONDS || isSuspicious) {
      const message = `the times look like milliseconds: as seconds the lines are ${Math.round(gap)} s apart on average. Name the column timestamp_ms; if they are seconds, write them with decimals, as ${start.toFixed(1)}`;
      wrong(first + 1, message);
    }
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_TRACE', mistakes);
  const msPer = (unit || 1) * 1000;
  return {
    timesMs: Float64Array.from(rows, ([time = 0]) => (time - start) * msPer),
    sizes: Object.fromEntries(columns.map((column, i) => [column, Float64Array.from(rows, (row) => row[i + 1] ?? 0)])),
  };
}

const numberIn = (cell: string): number => (cell.trim() === '' ? Number.NaN : Number(cell));

/** Seconds since 1970 of an ISO 8601 time, with up to nine decimals, in UTC if it names no zone. */
export function isoSeconds(cell: string): number {
  const [, date, time, fraction = '', zone = 'Z'] =
    /^\s*(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?\s*(Z|UTC|[+-]\d{2}:?\d{2})?\s*$/i.exec(cell) ?? [];
  if (date === undefined) return Number.NaN;
  const offset = /^(UTC|Z)$/i.test(zone) ? 'Z' : zone.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  return Date.parse(`${date}T${time}${offset}`) / 1000 + Number(`0${fraction}`);
}

/** Whether a line of a table has values: it is neither empty nor a comment. */
export const isData = (line: string): boolean => line.trim() !== '' && !line.startsWith('#');
