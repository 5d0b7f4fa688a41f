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

/**
 * A trace of lines `timestamp_s[,size…]`. A header line names the sizes; without sizes it may be omitted. Throws
 * `INVALID_TRACE` naming the wrong lines: not a number, unsorted, too few or too many columns, or an empty trace.
 */
export function readTrace(text: string, file = 'trace.csv'): Trace {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const mistakes: FieldError[] = [];
  const wrong = (line: number, message: string) => mistakes.push({ field: `${file}:${line}`, message });
  const first = lines.findIndex(isData);
  const names = (lines[first] ?? '').split(',').map((name) => name.trim());
  const named = names[0] === 'timestamp_s';
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
  const readable = mistakes.length === 0;
  for (
    let i = named ? first + 1 : Math.max(first, 0);
    readable && i < lines.length && mistakes.length < MOST_FIELDS;
    i += 1
  ) {
    const line = lines[i] ?? '';
    if (!isData(line)) continue;
    const row = line.split(',').map((cell) => (cell.trim() === '' ? Number.NaN : Number(cell)));
    const [time = Number.NaN, ...sizes] = row;
    if (row.length !== columns.length + 1) {
      wrong(
        i + 1,
        `it has ${row.length} columns, not ${columns.length + 1}: give timestamp_s${columns.map((c) => `,${c}`).join('')}`,
      );
    } else if (!row.every(Number.isFinite))
      wrong(i + 1, `"${line.trim()}" is not made of numbers: correct or remove it`);
    else if (sizes.some((size) => size < 0)) wrong(i + 1, 'a size is negative: correct or remove the line');
    else if (time < last) wrong(i + 1, `${time} s comes after ${last} s: sort the lines by time`);
    else rows.push(row);
    if (Number.isFinite(time)) last = Math.max(last, time);
  }
  if (rows.length === 0 && mistakes.length === 0)
    wrong(1, 'the trace is empty: give at least one line timestamp_s[,size…]');
  if (mistakes.length > 0) throw invalidFields('INVALID_TRACE', mistakes);
  const start = rows[0]?.[0] ?? 0;
  return {
    timesMs: Float64Array.from(rows, ([time = 0]) => (time - start) * 1000),
    sizes: Object.fromEntries(columns.map((column, i) => [column, Float64Array.from(rows, (row) => row[i + 1] ?? 0)])),
  };
}

const isData = (line: string): boolean => line.trim() !== '' && !line.startsWith('#');
