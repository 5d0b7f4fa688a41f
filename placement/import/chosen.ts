import { type ImportedRequest, MOST_REQUESTS, type TraceFormat } from './trace-formats.js';
import { wrong } from './wrong.js';

/** Which requests of a trace are kept: see `TraceImport`. */
interface Choice {
  readonly sample?: number;
  readonly limit?: number;
  readonly seed?: number;
  readonly caches?: number;
}

/** What is kept at most: requests, and numbers in them (times, sizes, names of blocks), of some 50 bytes each in long lines. */
const MOST = { requests: MOST_REQUESTS, numbers: 30_000_000 };

/** Share of that by which more is in memory before it is cut: each cut sorts all. */
const SPARE = 0.2;

/**
 * The requests that are kept, by time. In memory are at most a fifth more than `most`, and at most twice as many as the limit. Throws
 * `INVALID_TRACE` if there are none, or more than `most` of them.
 */
export function chosenOf(
  requests: Iterable<ImportedRequest>,
  format: TraceFormat,
  file: string,
  { sample = 1, limit = Number.POSITIVE_INFINITY, seed = 1, caches }: Choice,
  most: typeof MOST = MOST,
): readonly ImportedRequest[] {
  const fullRequests = Math.min(limit, most.requests) + Math.min(limit, SPARE * most.requests);
  const fullNumbers = (1 + SPARE) * most.numbers;
  let state = seed >>> 0;
  let seen = 0;
  let kept: ImportedRequest[] = [];
  let numbers = 0;
  // The file need not be sorted: what follows may be earlier.
  const cut = () => {
    kept = kept.sort((a, b) => a.seconds - b.seconds).slice(0, limit);
    numbers = kept.reduce((sum, request) => sum + numbersOf(request), 0);
    if (kept.length > most.requests) throw tooMuch(file, `has more than ${most.requests} requests`);
    if (numbers > most.numbers) throw tooMuch(file, `has more than ${most.numbers} numbers in its requests`);
  };
  for (const request of requests) {
    seen += 1;
    if (sample < 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      if (state / 4_294_967_296 >= sample) continue;
    }
    const { seconds, sizes, place } = request;
    const own = caches === undefined ? { seconds, sizes, place } : request;
    kept.push(own);
    numbers += numbersOf(own);
    if (kept.length >= fullRequests || numbers >= fullNumbers) cut();
  }
  if (seen === 0) throw wrong(file, `it has no requests in the format "${format}"`, 'INVALID_TRACE');
  cut();
  if (kept.length === 0) {
    const message = `--sample ${sample} keeps none of its ${seen} requests: give a larger share, or another --seed`;
    throw wrong(file, message, 'INVALID_TRACE');
  }
  return kept;
}

const numbersOf = ({ sizes, blocks = [] }: ImportedRequest): number => 1 + Object.keys(sizes).length + blocks.length;

export const tooMuch = (file: string, what: string) =>
  wrong(file, `it ${what}: keep fewer of its requests with --limit or --sample`, 'INVALID_TRACE');
