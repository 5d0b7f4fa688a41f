import { MillraceError } from '../../pipelines/errors.js';

/** The preferences of a request (RFC 7240). */
export interface Preference {
  /** How long the response may wait for the end of the run, in milliseconds. 0: responds with 202 at once. */
  readonly waitMs: number;
  /** Value of `Preference-Applied`, if a preference was applied. */
  readonly applied?: string;
}

/** A day: a longer wait indicates a wrong unit. Shorter ones above the gateway's limit are reduced to it. */
const LONGEST_WAIT_S = 86_400;

/** Sticky and unambiguous patterns: a hostile header takes a single pass. */
const SPACE = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/y;

/**
 * Parses `Prefer`. Applies `wait=<seconds>` and `respond-async`, and ignores others, as RFC 7240 §2 requires; of a
 * repeated preference the first counts. Throws `INVALID_HEADER` for a malformed header, and for a `wait` that is not a
 * whole number of seconds from 0 to a day: ignoring it would hide the caller's mistake.
 */
export function parsePrefer(header: string | undefined, maxWaitMs: number): Preference {
  if (header === undefined) return { waitMs: 0 };
  const given = new Map<string, string>();
  for (const { name, value } of preferences(header)) if (!given.has(name)) given.set(name, value);
  const wait = given.get('wait');
  const applied = given.has('respond-async') ? ['respond-async'] : [];
  if (wait === undefined) return { waitMs: 0, ...(applied.length > 0 && { applied: applied.join(', ') }) };
  const seconds = /^\d{1,9}$/.test(wait) ? Number(wait) : Number.NaN;
  if (!(seconds <= LONGEST_WAIT_S)) {
    throw invalid(`wait must be a whole number of seconds from 0 to ${LONGEST_WAIT_S}, not "${wait}"`);
  }
  const granted = Math.min(seconds, Math.floor(maxWaitMs / 1000));
  return { waitMs: granted * 1000, applied: [...applied, `wait=${granted}`].join(', ') };
}

/** `#( token [ "=" word ] *( ";" [ parameter ] ) )`: a comma-separated list (RFC 9110 §5.6.1); names in lower case. */
function* preferences(header: string): Generator<{ name: string; value: string }, void> {
  let at = 0;
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const [text = ''] = pattern.exec(header) ?? [];
    at += text.length;
    return text;
  };
  const value = (): string => {
    take(SPACE);
    if (header[at] !== '=') return '';
    at++;
    take(SPACE);
    const word = take(TOKEN) || unquote(take(QUOTED));
    take(SPACE);
    return word;
  };
  for (take(SEPARATORS); at < header.length; take(SEPARATORS)) {
    const start = at;
    const preference = { name: take(TOKEN).toLowerCase(), value: value() };
    while (preference.name !== '' && header[at] === ';') {
      at++;
      take(SPACE);
      if (take(TOKEN) !== '') value();
    }
    const whole = preference.name !== '' && (at === header.length || header[at] === ',');
    if (!whole) throw invalid(`"${header.slice(start, start + 40)}" is not a preference such as "wait=30"`);
    yield preference;
  }
}

const unquote = (value: string): string => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);

const invalid = (message: string) =>
  new MillraceError('INVALID_HEADER', `Prefer: ${message}`, { fields: [{ field: 'Prefer', message }] });
