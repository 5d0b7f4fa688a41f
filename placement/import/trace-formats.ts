import { seemMilliseconds } from '../trace/index.js';
import { entriesOf, membersOf } from './json.js';
import { type Span, SpansAround } from './spans-around.js';
import { rowsOf, type TableRow } from './table.js';
import { secondsOf, unitOf } from './times.js';
import { wrong } from './wrong.js';

/** A request of a foreign trace: seconds, and sizes by column. */
export interface ImportedRequest {
  readonly seconds: number;
  readonly sizes: Readonly<Record<string, number>>;
  /** Names of the blocks of its prompt: see `Prompt`. */
  readonly blocks?: readonly number[];
  /** The number of its line, entry, span or run in the file, from 1. */
  readonly place: number;
}

/** Formats of traces: what publishes each is in docs/reference/placement.md. */
export const TRACE_FORMATS = ['azure', 'mooncake', 'burstgpt', 'csv', 'otlp', 'runs'] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** Most requests in memory, of some 200 bytes each. */
export const MOST_REQUESTS = 5_000_000;

type Lines = Iterable<string>;
type Requests = Iterable<ImportedRequest>;

/** The requests of a trace in the order of the file. They throw `INVALID_TRACE` with the line. */
export const TRACE_READERS: Readonly<Record<TraceFormat, (lines: Lines, file: string) => Requests>> = {
  azure: azureRequests,
  mooncake: mooncakeRequests,
  burstgpt: burstRequests,
  csv: csvRequests,
  otlp: otlpRequests,
  runs: runRequests,
};

const PLACES: Readonly<Record<TraceFormat, string>> = {
  azure: 'line',
  mooncake: 'entry',
  burstgpt: 'line',
  csv: 'line',
  otlp: 'span',
  runs: 'run',
};

/** The place of a request in a file of a format: `line 7`, `entry 7`. */
export const spellPlace = (format: TraceFormat, { place }: ImportedRequest): string => `${PLACES[format]} ${place}`;

/** Seconds since 1970 of the year 5138: no request is so late. */
const LATEST_SECONDS = 1e11;

/** Seconds of a time in a unit of so many parts of a second. `name`: of its column or member. */
function timeOf(value: unknown, name: string, at: string, parts?: number): number {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  const seconds = secondsOf(text, parts);
  if (Math.abs(seconds) <= LATEST_SECONDS) return seconds;
  if (text === '') throw wrong(at, `it has no time: give ${name}, or remove it`, 'INVALID_TRACE');
  const message = Number.isNaN(seconds)
    ? `${name}: "${text}" is neither a time of ISO 8601 nor a number: correct or remove it`
    : `${name}: ${text} is after the year 5000: correct it, or name the column by its unit, as timestamp_us`;
  throw wrong(at, message, 'INVALID_TRACE');
}

/** A size: a number from 0. Undefined: the value is none. */
function sizeOf(value: unknown): number | undefined {
  const isSpelt = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '');
  const size = isSpelt ? Number(value) : Number.NaN;
  return Number.isFinite(size) && size >= 0 ? size : undefined;
}

/** Those of these sizes that are numbers from 0. */
function sizesOf(all: readonly (readonly [column: string, value: unknown])[]): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [column, value] of all) {
    const size = sizeOf(value);
    if (size !== undefined) sizes[column] = size;
  }
  return sizes;
}

const cellOf = (cells: TableRow['cells'], name: RegExp): string | undefined =>
  Object.entries(cells).find(([column]) => name.test(column))?.[1];

/** `TIMESTAMP,ContextTokens,GeneratedTokens`, ISO times without a zone. */
function* azureRequests(lines: Lines, file: string): Requests {
  for (const { at, line, cells } of rowsOf(lines, file, 'INVALID_TRACE')) {
    yield {
      seconds: timeOf(cellOf(cells, /^timestamp$/i), 'TIMESTAMP', at),
      sizes: sizesOf([
        ['tokens_in', cellOf(cells, /^context_?tokens$/i)],
        ['tokens_out', cellOf(cells, /^generated_?tokens$/i)],
      ]),
      place: line,
    };
  }
}

/** JSON lines of `timestamp` in milliseconds, `input_length`, `output_length`, and `hash_ids`: a number for each block of the prompt. */
function* mooncakeRequests(lines: Lines, file: string): Requests {
  let place = 0;
  for (const { at, value } of entriesOf(lines, file, 'INVALID_TRACE')) {
    const { timestamp, input_length: tokensIn, output_length: tokensOut, hash_ids: ids } = value;
    place += 1;
    yield {
      seconds: timeOf(timestamp, 'timestamp', at, 1_000),
      sizes: sizesOf([
        ['tokens_in', tokensIn],
        ['tokens_out', tokensOut],
      ]),
      ...(Array.isArray(ids) && ids.every(Number.isSafeInteger) && { blocks: ids as readonly number[] }),
      place,
    };
  }
}

/** `Timestamp` in seconds, `Request tokens`, `Response tokens`; failed requests have no response tokens. */
function* burstRequests(lines: Lines, file: string): Requests {
  for (const { at, line, cells } of rowsOf(lines, file, 'INVALID_TRACE')) {
    const tokensOut = cellOf(cells, /^response tokens$/i);
    if (!(Number(tokensOut) > 0)) continue;
    yield {
      seconds: timeOf(cellOf(cells, /^timestamp$/i), 'Timestamp', at),
      sizes: sizesOf([
        ['tokens_in', cellOf(cells, /^request tokens$/i)],
        ['tokens_out', tokensOut],
      ]),
      place: line,
    };
  }
}

const TIME = /^(timestamp|time|arrival|arrived|start|ts|date)/i;

/**
 * Any CSV: the first column that is named like a time, by its unit; numbers of the other columns are sizes. Whole numbers far apart without
 * a unit are refused, as those of a trace of Millrace, which has decimals once it is imported. So are two numbers that would be one size and differ.
 */
function* csvRequests(lines: Lines, file: string): Requests {
  let known: ReturnType<typeof columnsOf> | undefined;
  let [rows, first, last] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let isClear = false;
  for (const { at, line, cells } of rowsOf(lines, file, 'INVALID_TRACE')) {
    known ??= columnsOf(Object.keys(cells), file);
    const { name, parts, columns } = known;
    const cell = cells[name] ?? '';
    const seconds = timeOf(cell, name, at, parts);
    // What differs from its number is of ISO 8601, or since 1970 in a unit that its size tells.
    isClear ||= parts !== undefined || cell.includes('.') || Number(cell) !== seconds;
    rows += 1;
    first = Math.min(first, seconds);
    last = Math.max(last, seconds);
    yield { seconds, sizes: namedSizes(columns, cells, at), place: line };
  }
  const gapS = (last - first) / Math.max(1, rows - 1);
  if (known === undefined || isClear || !seemMilliseconds(rows, gapS)) return;
  const message = `${known.name}: the times look like milliseconds: as seconds they are ${Math.round(gapS)} s apart on average. Name the column timestamp_ms or timestamp_s`;
  throw wrong(file, message, 'INVALID_TRACE');
}

/** The sizes of a row by the names that columns get. Throws `INVALID_TRACE` if two columns get the same name and differ. */
function namedSizes(columns: readonly (readonly [string, string])[], cells: TableRow['cells'], at: string) {
  const sizes: Record<string, number> = {};
  for (const [column, size] of columns) {
    const value = sizeOf(cells[column]);
    if (value === undefined) continue;
    if (Object.hasOwn(sizes, size) && sizes[size] !== value) {
      const [other] = columns.find(([each, same]) => same === size && sizeOf(cells[each]) !== undefined) ?? [];
      const message = `${other} and ${column} would both be ${size}: remove or rename one of the columns`;
      throw wrong(at, message, 'INVALID_TRACE');
    }
    sizes[size] = value;
  }
  return sizes;
}

/** The column of the times with its unit, and the others, each with the name that its sizes get. */
function columnsOf(all: readonly string[], file: string) {
  const name = all.find((column) => TIME.test(column));
  if (name !== undefined) {
    const others = all.filter((column) => column !== name);
    return { name, parts: unitOf(name), columns: others.map((column) => [column, renamed(column)] as const) };
  }
  const message = `no column is named like a time: name one timestamp, time, arrival or start; there are ${all.join(', ')}`;
  throw wrong(file, message, 'INVALID_TRACE');
}

const renamed = (column: string): string =>
  column
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^(prompt|input|context|request)_?(tokens|length|len)$/, 'tokens_in')
    .replace(/^(completion|output|generated|response)_?(tokens|length|len)$/, 'tokens_out')
    .replace(/^(\d)/, 'c$1');

const TOO_MANY_TRACES = `it has more than ${MOST_REQUESTS} traces before the first call of a model: split it`;

/**
 * OTLP in JSON: its calls of a model, with tokens by the attributes of GenAI; without such calls the roots of its traces. Spans around such
 * calls are none, whatever usage they state.
 */
function* otlpRequests(lines: Lines, file: string): Requests {
  let place = 0;
  let roots: { readonly time: unknown; readonly place: number }[] = [];
  let hasCalls = false;
  const around = new SpansAround();
  const requestOf = (time: unknown, sizes: Record<string, number>, span: number): ImportedRequest => ({
    seconds: timeOf(time, 'startTimeUnixNano', `${file}, span ${span}`, 1e9),
    sizes,
    place: span,
  });
  for (const { value } of entriesOf(lines, file, 'INVALID_TRACE')) {
    const scopes = membersOf(value, 'resourceSpans').flatMap((each) => membersOf(each, 'scopeSpans'));
    const spans = scopes.flatMap((each) => membersOf(each, 'spans'));
    const usages = spans.map(usageOf);
    around.add(spans, (i) => usages[i] !== undefined);
    for (const [i, span] of spans.entries()) {
      const sizes = usages[i];
      place += 1;
      if (sizes !== undefined) {
        hasCalls = true;
        roots = [];
        if (!around.has(span)) yield requestOf(span.startTimeUnixNano, sizes, place);
      } else if (!hasCalls && (span.parentSpanId ?? '') === '') {
        roots.push({ time: span.startTimeUnixNano, place });
        if (roots.length > MOST_REQUESTS) throw wrong(file, TOO_MANY_TRACES, 'INVALID_TRACE');
      }
    }
  }
  for (const root of roots) yield requestOf(root.time, {}, root.place);
}

/** Operations (`gen_ai.operation.name`) that call no model themselves: their usage is that of the calls which they cause. */
const NO_CALLS: ReadonlySet<unknown> = new Set(['invoke_agent', 'invoke_workflow', 'execute_tool']);

/** The tokens of a call of a model; undefined: the span is none. */
function usageOf(span: Span): Record<string, number> | undefined {
  const attributes = membersOf(span, 'attributes');
  const valueUnder = (...keys: readonly string[]) => {
    const value = attributes.find(({ key }) => keys.includes(String(key)))?.value;
    return (value ?? {}) as { readonly [type in 'stringValue' | 'intValue' | 'doubleValue']?: unknown };
  };
  const numberOf = (...keys: readonly string[]) => {
    const { intValue, doubleValue } = valueUnder(...keys);
    return intValue ?? doubleValue;
  };
  if (NO_CALLS.has(valueUnder('gen_ai.operation.name').stringValue)) return undefined;
  const sizes = sizesOf([
    ['tokens_in', numberOf('gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens')],
    ['tokens_out', numberOf('gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens')],
  ]);
  return Object.keys(sizes).length > 0 ? sizes : undefined;
}

/** Pages of `millrace runs --json`, or runs themselves. */
function* runRequests(lines: Lines, file: string): Requests {
  let place = 0;
  for (const { at, value } of entriesOf(lines, file, 'INVALID_TRACE')) {
    const isPage = Array.isArray(value.runs);
    for (const [i, run] of (isPage ? membersOf(value, 'runs') : [value]).entries()) {
      place += 1;
      const time = run.createdAt ?? run.startedAt ?? run.startTime ?? run.start;
      yield { seconds: timeOf(time, 'createdAt', isPage ? `${at}, runs[${i}]` : at), sizes: {}, place };
    }
  }
}
