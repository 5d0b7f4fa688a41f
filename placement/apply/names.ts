import { sha256Hex } from '../../pipelines/plan/hash.js';

/** Most characters of a service's name, and of a label's value. */
const MOST = 63;
const HASH = 8;

/**
 * A text as a name that Kubernetes takes for a service: at most 63 lower-case letters, digits and dashes, the first a letter (RFC 1035, which
 * Kubernetes before 1.36 requires). A longer one, and one that is taken, ends in a hash, so that two never become one.
 *
 * @param taken names of others
 * @param of what the hash is of: different for each of those that are named
 */
export function nameFor(text: string, taken: ReadonlySet<string>, of = text): string {
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const whole = /^[a-z]/.test(plain) ? plain : `m-${plain}`;
  if (whole.length <= MOST && !taken.has(whole)) return whole;
  return `${whole.slice(0, MOST - HASH - 1)}-${sha256Hex(of).slice(0, HASH)}`;
}
