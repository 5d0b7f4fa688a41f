import { sha256Hex } from '../../pipelines/plan/hash.js';

const PLAIN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/**
 * A caller's name as a part of a key: in clear where it has no character with a meaning there, so that no collision of hashes
 * joins two callers and an operator finds what is theirs. `~` never starts a plain name, so a hashed one cannot be mistaken for it.
 */
export const keySegment = (name: string): string => (PLAIN.test(name) ? name : `~${sha256Hex(name)}`);
