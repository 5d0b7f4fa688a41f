import { chosenOf, tooMuch } from './chosen.js';
import { linesOf } from './lines.js';
import { cachedTokens } from './prefix-caches.js';
import { type ImportedRequest, spellPlace, TRACE_READERS, type TraceFormat } from './trace-formats.js';
import { wrong } from './wrong.js';

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
  /** Told, in a sentence, of a column that is left out because some of the requests lack it. */
  readonly note?: (text: string) => void;
}

/** Tokens of a block of the trace of Mooncake (R. Qin et al.: Mooncake, FAST 2025, section 4.1). */
const BLOCK_TOKENS = 512;

/** Most characters of the trace that is made. */
const MOST_CHARACTERS = 2 ** 28;

/**
 * Reads a foreign trace, and returns a trace of Millrace as text. Only times and sizes are kept, of the requests that are chosen: the lines
 * of a large file can be read one by one. Throws `INVALID_TRACE`.
 * @param source the text, or its lines without their ends
 */
export function importTrace(
  format: TraceFormat,
  source: string | Iterable<string>,
  file: string,
  options: TraceImport = {},
): string {
  const { speed = 1 } = options;
  const lines = typeof source === 'string' ? linesOf(source) : source;
  const chosen = chosenOf(TRACE_READERS[format](lines, file), format, file, options);
  const kept =
    options.caches === undefined ? chosen : withCaches(chosen, format, file, { ...options, caches: options.caches });
  const columns = completeColumns(kept, format, options.note);
  const start = kept[0]?.seconds ?? 0;
  let characters = 0;
  const rows = kept.map(({ seconds, sizes }) => {
    const row = [((seconds - start) / speed).toFixed(6), ...columns.map((column) => sizes[column])].join(',');
    characters += row.length + 1;
    return row;
  });
  const most = `${MOST_CHARACTERS / 2 ** 20} MiB`;
  if (characters > MOST_CHARACTERS) throw tooMuch(file, `would be a trace of more than ${most}`);
  return `${[['timestamp_s', ...columns].join(','), ...rows].join('\n')}\n`;
}

/**
 * The columns that all requests have: a trace has each size of every request. Others are left out, not refused, as they may be no sizes at all,
 * such as names that are numbers at times.
 */
function completeColumns(
  requests: readonly ImportedRequest[],
  format: TraceFormat,
  note: (text: string) => void = () => undefined,
): readonly string[] {
  const counts = new Map<string, number>();
  for (const { sizes } of requests) {
    for (const column of Object.keys(sizes)) counts.set(column, (counts.get(column) ?? 0) + 1);
  }
  return [...counts].flatMap(([column, count]) => {
    if (count === requests.length) return [column];
    const lacking = requests.length - count;
    const first = requests.find(({ sizes }) => !Object.hasOwn(sizes, column));
    const where = first === undefined ? '' : `, the first is ${spellPlace(format, first)}`;
    note(`${column} dropped: ${lacking} of ${requests.length} requests lack it${where}`);
    return [];
  });
}

/**
 * The requests with the tokens that prefix caches have of their prompts: `tokens_cached_aware_4` with a router that knows the
 * prefixes of 4 caches, `tokens_cached_unaware_4` with one that does not.
 */
function withCaches(
  requests: readonly ImportedRequest[],
  format: TraceFormat,
  file: string,
  { caches, blocks = Number.POSITIVE_INFINITY, seed = 1 }: TraceImport & { readonly caches: number },
): readonly ImportedRequest[] {
  const prompts = requests.map((request) => {
    const { sizes, blocks: own } = request;
    if (own === undefined || sizes.tokens_in === undefined) {
      const message = 'it has no hash_ids and input_length, by which prefixes are known: leave out --caches';
      throw wrong(`${file}, ${spellPlace(format, request)}`, message, 'INVALID_TRACE');
    }
    return { tokens: sizes.tokens_in, blocks: own };
  });
  const added = cacheCounts(caches).flatMap((count) =>
    [true, false].map((isAware) => {
      const routing = { caches: count, blocks, isAware, blockTokens: BLOCK_TOKENS, seed };
      return [`tokens_cached_${isAware ? 'aware' : 'unaware'}_${count}`, cachedTokens(prompts, routing)] as const;
    }),
  );
  return requests.map(({ seconds, sizes, place }, i) => ({
    seconds,
    place,
    sizes: { ...sizes, ...Object.fromEntries(added.map(([column, values]) => [column, values[i] ?? 0])) },
  }));
}

/** 1, 2, 4 … and the number itself. */
function cacheCounts(most: number): readonly number[] {
  const counts: number[] = [];
  for (let n = 1; n < most; n *= 2) counts.push(n);
  return [...counts, most];
}
