import { MillraceError } from '../../pipelines/errors.js';
import { fetchCause } from '../../runtime/fetch-cause.js';
import { linkedAbort, timeLimit } from '../../runtime/limited.js';
import { tooLarge } from './upload.js';

/** Longest time for a file, its redirects included, and for all of a request: clients wait for them. */
const FETCH_MS = 30_000;
const FETCH_ALL_MS = 60_000;
const MOST_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Whether an address of media is on the network. */
export const isOnTheNetwork = (address: string): boolean => /^https?:\/\//i.test(address);

/**
 * Why media at this address are not fetched; undefined if they are. Only origins that the operator names are asked: any other
 * address could be one that the gateway reaches and the caller does not.
 */
export function whyNotFetched(address: string, origins: readonly string[]): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined) return 'is no address';
  if (url.username !== '' || url.password !== '') return 'must have no user name or password';
  if (origins.includes(url.origin)) return undefined;
  return origins.length === 0
    ? 'addresses on the network are not fetched: send the bytes'
    : `${url.origin} is none of the origins from which media are fetched: send the bytes`;
}

/** Aborts when the media of a request have taken too long together, or with `gone`. */
export function fetchingOfRequest(gone: AbortSignal): AbortSignal {
  const { own } = linkedAbort(gone);
  setTimeout(() => own.abort(), FETCH_ALL_MS).unref();
  return own.signal;
}

export interface Fetching {
  readonly origins: readonly string[];
  readonly maxBytes: number;
  /** `fetchingOfRequest` of the request. */
  readonly within: AbortSignal;
}

/**
 * The bytes at an address of these origins, at most `maxBytes`. Throws `INVALID_MEDIA` if they cannot be fetched in time, and
 * `BODY_TOO_LARGE`.
 */
export async function* fetchedMedia(
  address: string,
  { origins, maxBytes, within }: Fetching,
): AsyncGenerator<Uint8Array, void> {
  const { signal, release } = timeLimit(FETCH_MS, within);
  try {
    const response = await answerOf(new URL(address), origins, signal);
    if (Number(response.headers.get('content-length')) > maxBytes) {
      await response.body?.cancel();
      throw tooLarge(maxBytes);
    }
    let size = 0;
    for await (const piece of response.body ?? []) {
      size += piece.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield piece;
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const limit = within.aborted ? `${FETCH_ALL_MS / 1_000} s for all media` : `${FETCH_MS / 1_000} s`;
    const why = signal.aborted ? `the file was not complete within ${limit}` : fetchCause(error);
    throw unusable(address, why);
  } finally {
    release();
  }
}

/** Follows redirects one by one: each must lead to one of the origins. */
async function answerOf(first: URL, origins: readonly string[], signal: AbortSignal): Promise<Response> {
  let url = first;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
    const response = await fetch(url, { redirect: 'manual', headers: { 'user-agent': 'millrace' }, signal });
    if (response.ok) return response;
    await response.body?.cancel();
    if (!REDIRECTS.has(response.status)) throw unusable(first.href, `the server answered ${response.status}`);
    const location = response.headers.get('location');
    if (location === null || !URL.canParse(location, url.href))
      throw unusable(first.href, 'it is redirected to nowhere');
    url = new URL(location, url);
    const why = whyNotFetched(url.href, origins);
    if (why !== undefined) throw unusable(first.href, `it is redirected: ${why}`);
  }
  throw unusable(first.href, `it is redirected more than ${MOST_REDIRECTS} times`);
}

/** The query is left out: it may be a signature. */
function unusable(address: string, why: string): MillraceError {
  const { origin, pathname } = new URL(address);
  return new MillraceError('INVALID_MEDIA', `${origin}${pathname} cannot be fetched: ${why}`);
}
