import type { Pipeline } from '../pipelines/definition/index.js';

/** Who asks for a run. */
export interface Caller {
  /** Whose runs, artifacts and cache entries the request is about. */
  readonly tenant: string;
  /** The key that the caller has shown; absent where callers need none. */
  readonly key?: CallerKey;
  /** The user that a proxy names; of callers with a key, and of this machine, there is none. */
  readonly user?: string;
  /** How many runs may go on at once, and whose they count as; absent where there is no bound. */
  readonly runs?: { readonly of: string; readonly most: number };
}

/** What runs need to know of a caller's key. */
export interface CallerKey {
  readonly id: string;
  /** Whose its conversations are: those of keys with the same owner are one's. Absent: the key's own. */
  readonly owner?: string | undefined;
  /** The names of the pipelines that it may use. Absent: all. */
  readonly pipelines?: readonly string[] | undefined;
}

/** Whether the caller may know of a pipeline and of its runs. What it may not use does not exist for it. */
export const mayUse = ({ key }: Caller, { name }: Pick<Pipeline, 'name'>): boolean =>
  key?.pipelines === undefined || key.pipelines.includes(name);

/**
 * Who has been authenticated, as decisions record it: the key, or the user that a proxy names. Undefined where nobody had to
 * show anything.
 */
export function actorOf({ key, user }: Caller): string | undefined {
  if (key) return `key:${key.id}`;
  return user === undefined ? undefined : `user:${user}`;
}

/**
 * Whose the conversations of a caller's runs are, within its tenant: a key's own, of the keys that name the same `owner`
 * together, a user's own. Undefined where neither is known: then they are the tenant's.
 */
export function ownerOf(caller: Caller): string | undefined {
  return caller.key?.owner === undefined ? actorOf(caller) : `key:${caller.key.owner}`;
}
