import { sha256Hex } from '../../pipelines/plan/hash.js';

const PLAIN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/**
 * A caller's name as part of a key: in clear if it has no character with a meaning in keys, so that different callers
 * never share a key and operators can find a caller's keys. `~` never starts a plain name, so a hashed name cannot be
 * mistaken for one.
 */
export const keySegment = (name: string): string => (PLAIN.test(name) ? name : `~${sha256Hex(name)}`);
