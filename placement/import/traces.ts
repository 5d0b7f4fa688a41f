import { cachedTokens } from './prefix-caches.js';
import { objectsOf, rowsOf, wrong } from './table.js';
import { secondsOf, unitOf } from './times.js';

/** A request of a foreign trace: seconds, and sizes by column. */
export interface ImportedRequest {
  readonly seconds: number;
  readonly sizes: Readonly<Record<string, number>>;
  /** Names of the blocks of its prompt: see `Prompt`. */
  readonly blocks?: readonly number[];
}

/** Formats of traces: what publishes each is in docs/reference/placement.md. */
export const TRACE_FORMATS = ['azure', 'mooncake', 'burstgpt', 'csv', 'otlp', 'runs'] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

export interface TraceImport {
  /** Replays the trace so many times as fast. */
  readonly speed?: number;
  /** Share of the requests that is kept, chosen at random. */
  readonly sample?: number;
  /** Most requests that are kept, from the start. */
  readonly limit?: number;
  readonly seed?: number;
  /** Adds the tokens of each prompt that prefix caches have, for 1, 2, 4 … up to so many caches; only of a trace with blocks. */
  readonly caches?: number;
  /** Most blocks in each of these caches; default: nothing is evicted. */
  readonly blocks?: number;
}

type Row = Readonly<Record<string, string>>;

/** Tokens of a block of the trace of Mooncake (R. Qin et al.: Mooncake, FAST 2025, section 4.1). */
const BLOCK_TOKENS = 512;

/** Reads a foreign trace, and returns a trace of Millrace as text. Only times and sizes are kept. Throws `INVALID_TRACE`. */
export function importTrace(format: TraceFormat, text: string, file: string, options: TraceImport = {}): string {
  const { speed = 1, sample = 1, limit = Number.POSITIVE_INFINITY, seed = 1 } = options;
  const all = [...READERS[format](text, file)].sort((a, b) => a.seconds - b.seconds);
  const [first] = all;
  if (first === undefined) throw wrong(file, `it has no requests in the format "${format}"`);
  let state = seed >>> 0;
  const chosen = all
    .filter(() => {
      if (sample >= 1) return true;
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 4_294_967_296 < sample;
    })
    .slice(0, limit);
  const kept = options.caches === undefined ? chosen : withCaches(chosen, file, { ...options, caches: options.caches });
  const columns = [...new Set(kept.flatMap(({ sizes }) => Object.keys(sizes)))].filter((column) =>
    kept.every(({ sizes }) => Number.isFinite(sizes[column])),
  );
  const start = kept[0]?.seconds ?? 0;
  const lines = kept.map(({ seconds, sizes }) =>
    [((seconds - start) / speed).toFixed(6), ...columns.map((column) => sizes[column])].join(','),
  );
  return `${[['timestamp_s', ...columns].join(','), ...lines].join('\n')}\n`;
}

/**
 * The requests with the tokens that prefix caches have of their prompts: `tokens_cached_aware_4` with a router that knows the
 * prefixes of 4 caches, `tokens_cached_unaware_4` with one that does not.
 */
function withCaches(
  requests: readonly ImportedRequest[],
  file: string,
  { caches, blocks = Number.POSITIVE_INFINITY, seed = 1 }: TraceImport & { readonly caches: number },
): readonly ImportedRequest[] {
  const prompts = requests.map(({ sizes, blocks: own }, i) => {
    if (own === undefined || sizes.tokens_in === undefined) {
      throw wrong(`${file}, request ${i + 1}`, 'it has no hash_ids and input_length, by which prefixes are known');
    }
    return { tokens: sizes.tokens_in, blocks: own };
  });
  const added = cacheCounts(caches).flatMap((count) =>
    [true, false].map((isAware) => {
      const routing = { caches: count, blocks, isAware, blockTokens: BLOCK_TOKENS, seed };
      return [`tokens_cached_${isAware ? 'aware' : 'unaware'}_${count}`, cachedTokens(prompts, routing)] as const;
    }),
  );
  return requests.map(({ seconds, sizes }, i) => ({
    seconds,
    sizes: { ...sizes, ...Object.fromEntries(added.map(([column, values]) => [column, values[i] ?? 0])) },
  }));
}

/** 1, 2, 4 … and the number itself. */
function cacheCounts(most: number): readonly number[] {
  const counts: number[] = [];
  for (let n = 1; n < most; n *= 2) counts.push(n);
  return [...counts, most];
}

const tokens = (tokensIn: unknown, tokensOut: unknown): Record<string, number> => {
  const sizes = { tokens_in: Number(tokensIn), tokens_out: Number(tokensOut) };
  return Object.fromEntries(Object.entries(sizes).filter(([, value]) => Number.isFinite(value) && value > 0));
};

const READERS: Readonly<Record<TraceFormat, (text: string, file: string) => Iterable<ImportedRequest>>> = {
  /** `TIMESTAMP,ContextTokens,GeneratedTokens`, ISO times without a zone. */
  azure: (text, file) =>
    rowsOf(text, file).map((row, i) => ({
      seconds: finite(secondsOf(cellOf(row, /^timestamp$/i) ?? ''), file, i),
      sizes: tokens(cellOf(row, /^context_?tokens$/i), cellOf(row, /^generated_?tokens$/i)),
    })),
  /** JSON lines of `timestamp` in milliseconds, `input_length`, `output_length`, and `hash_ids`: a number for each block of the prompt. */
  mooncake: (text, file) =>
    objectsOf(text, file).map((row, i) => ({
      seconds: finite(Number(row.timestamp) / 1000, file, i),
      sizes: tokens(row.input_length, row.output_length),
      ...(Array.isArray(row.hash_ids) && row.hash_ids.every(Number.isSafeInteger) && { blocks: row.hash_ids }),
    })),
  /** `Timestamp` in seconds, `Request tokens`, `Response tokens`; failed requests have no response tokens. */
  burstgpt: (text, file) =>
    rowsOf(text, file)
      .filter((row) => Number(cellOf(row, /^response tokens$/i)) > 0)
      .map((row, i) => ({
        seconds: finite(secondsOf(cellOf(row, /^timestamp$/i) ?? ''), file, i),
        sizes: tokens(cellOf(row, /^request tokens$/i), cellOf(row, /^response tokens$/i)),
      })),
  csv: csvRequests,
  /** OTLP in JSON: every span is a request; its tokens by the attributes of GenAI. */
  otlp: otlpRequests,
  /** `millrace runs --json`. */
  runs: (text, file) =>
    objectsOf(text.trimStart().startsWith('{"runs"') ? JSON.stringify(JSON.parse(text).runs) : text, file).map(
      (row, i) => ({
        seconds: finite(secondsOf(String(row.createdAt ?? row.startedAt ?? row.startTime ?? row.start ?? '')), file, i),
        sizes: {},
      }),
    ),
};

const cellOf = (row: Row, name: RegExp): string | undefined =>
  Object.entries(row).find(([column]) => name.test(column))?.[1];

function finite(seconds: number, file: string, i: number): number {
  if (Number.isFinite(seconds)) return seconds;
  throw wrong(`${file}, request ${i + 1}`, 'it has no readable time');
}

const COLUMN = /^(timestamp|time|arrival|arrived|start|ts|date)/i;

/** Any CSV: the first column that is named like a time, by its unit; numbers of the other columns are sizes. */
function* csvRequests(text: string, file: string): Iterable<ImportedRequest> {
  const rows = rowsOf(text, file);
  const [names = []] = rows.map(Object.keys);
  const time = names.find((name) => COLUMN.test(name));
  if (time === undefined) throw wrong(`${file}:1`, 'no column is named like a time: timestamp, time, arrival or start');
  const unit = unitOf(time);
  const renamed = (name: string) =>
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^(prompt|input|context|request)_?(tokens|length|len)$/, 'tokens_in')
      .replace(/^(completion|output|generated|response)_?(tokens|length|len)$/, 'tokens_out')
      .replace(/^(\d)/, 'c$1');
  for (const [i, row] of rows.entries()) {
    const sizes = names.flatMap((name): [string, number][] => {
      const value = row[name] === '' ? Number.NaN : Number(row[name]);
      return name === time || !(value >= 0) ? [] : [[renamed(name), value]];
    });
    yield { seconds: finite(secondsOf(row[time] ?? '', unit), file, i), sizes: Object.fromEntries(sizes) };
  }
}

interface Span {
  readonly startTimeUnixNano?: string | number;
  readonly parentSpanId?: string;
  readonly attributes?: readonly { readonly key: string; readonly value?: Readonly<Record<string, unknown>> }[];
}

function* otlpRequests(text: string, file: string): Iterable<ImportedRequest> {
  const documents =
    text.trimStart().startsWith('{"resourceSpans"') && !text.trim().includes('\n{')
      ? [JSON.parse(text) as Readonly<Record<string, unknown>>]
      : objectsOf(text, file);
  const spans = documents.flatMap((each) =>
    ((each.resourceSpans ?? []) as { scopeSpans?: { spans?: Span[] }[] }[]).flatMap(({ scopeSpans = [] }) =>
      scopeSpans.flatMap(({ spans: own = [] }) => own),
    ),
  );
  const number = (span: Span, keys: readonly string[]) => {
    const found = span.attributes?.find(({ key }) => keys.includes(key))?.value ?? {};
    return Number(found.intValue ?? found.doubleValue ?? Number.NaN);
  };
  const usage = (span: Span) =>
    tokens(
      number(span, ['gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens']),
      number(span, ['gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens']),
    );
  // Calls of a model if there are some; else the roots of the traces.
  const calls = spans.filter((span) => Object.keys(usage(span)).length > 0);
  const requests = calls.length > 0 ? calls : spans.filter(({ parentSpanId = '' }) => parentSpanId === '');
  for (const [i, span] of requests.entries()) {
    yield { seconds: finite(Number(span.startTimeUnixNano) / 1e9, file, i), sizes: usage(span) };
  }
}
