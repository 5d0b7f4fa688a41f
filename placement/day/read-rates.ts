import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields, MOST_FIELDS } from '../../pipelines/invalid-fields.js';
import { RATES } from '../explain/index.js';
import { nearest } from '../source/index.js';
import { isData } from '../trace/index.js';

/** Most hours of a schedule: a week. */
export const MOST_HOURS = 168;

/**
 * A table of `hour,<pipeline>[,<pipeline>…]`: runs per second of each pipeline in each hour, from hour 0 on. With one pipeline
 * the column may be called `rate`. Returns the rates by hour, in the order of `pipelines`. Throws `INVALID_TRACE` naming the
 * wrong lines.
 */
export function readRates(text: string, file: string, pipelines: readonly string[]): readonly (readonly number[])[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const mistakes: FieldError[] = [];
  const wrong = (line: number, message: string) => mistakes.push({ field: `${file}:${line}`, message });
  const first = Math.max(0, lines.findIndex(isData));
  const headings = cellsOf(lines[first] ?? '');
  const columns = columnsOf(headings, pipelines);
  if (typeof columns === 'string') {
    throw invalidFields('INVALID_TRACE', [{ field: `${file}:${first + 1}`, message: columns }]);
  }
  const hours: (readonly number[])[] = [];
  for (let i = first + 1; i < lines.length && mistakes.length < MOST_FIELDS; i += 1) {
    const line = lines[i] ?? '';
    if (!isData(line)) continue;
    const [hour = Number.NaN, ...rates] = cellsOf(line).map((cell) => (cell === '' ? Number.NaN : Number(cell)));
    if (rates.length !== pipelines.length) {
      wrong(i + 1, `it has ${rates.length + 1} columns, not ${pipelines.length + 1}: give ${headings.join(',')}`);
    } else if (hour !== hours.length) {
      wrong(i + 1, `the hour is not ${hours.length}: give one line for each hour, from 0 on`);
    } else if (!rates.every((rate) => rate >= 0 && rate <= RATES.most)) {
      wrong(i + 1, `"${line.trim()}": a rate is a number of runs a second from 0 to ${RATES.most}`);
    }
    hours.push(columns.map((column) => rates[column] ?? 0));
  }
  if (mistakes.length === 0) {
    if (hours.length === 0) wrong(first + 1, 'the table has no hours: give a line such as 0,0.5 for each');
    if (hours.length > MOST_HOURS) wrong(first + 1, `it has ${hours.length} hours: give at most ${MOST_HOURS}`);
    for (const [p, name] of pipelines.entries()) {
      if (hours.length > 0 && hours.every((rates) => (rates[p] ?? 0) < RATES.least))
        wrong(first + 1, `"${name}" has no runs in any hour: leave it out, or correct its column`);
    }
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_TRACE', mistakes);
  return hours;
}

/** For each pipeline the place of its column among the rates, or what is wrong with the headings. */
function columnsOf([hour = '', ...names]: readonly string[], pipelines: readonly string[]): readonly number[] | string {
  const wanted = `begin with a line hour,${pipelines.join(',')}`;
  if (hour !== 'hour') return `the first column is "${hour}", not "hour": ${wanted}`;
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) return `the column "${twice}" is there twice`;
  if (names.length === 1 && pipelines.length === 1 && (names[0] === 'rate' || names[0] === pipelines[0])) return [0];
  const unknown = names.find((name) => !pipelines.includes(name));
  if (unknown !== undefined) return `no pipeline is called "${unknown}"${nearest(unknown, pipelines)}: ${wanted}`;
  const missing = pipelines.find((name) => !names.includes(name));
  if (missing !== undefined) return `the pipeline "${missing}" has no column: ${wanted}`;
  return pipelines.map((name) => names.indexOf(name));
}

const cellsOf = (line: string): readonly string[] => line.split(',').map((cell) => cell.trim());
