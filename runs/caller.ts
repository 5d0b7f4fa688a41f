import type { Pipeline } from '../pipelines/definition/index.js';

/** The authenticated caller of a run. */
export interface Caller {
  /** Owns the runs, artifacts and cache entries of the request. */
  readonly tenant: string;
  /** Names of the pipelines that it may use. Absent: all. */
  readonly pipelines?: readonly string[];
  /** The caller's API key. Absent where it has none. */
  readonly key?: CallerKey;
  /** The user named by an authenticating proxy, or by a token. Absent for callers with a key and for local callers. */
  readonly user?: string;
  /** Trace that its request belongs to (`RunContext.trace`). */
  readonly trace?: string;
  /** Limit of concurrent runs and the owner that it applies to. Absent: no limit. */
  readonly runs?: { readonly of: string; readonly most: number };
}

/** The part of an API key that runs depend on. */
export interface CallerKey {
  readonly id: string;
  /** Owner of its sessions; keys with the same owner share them. Absent: the key itself. */
  readonly owner?: string | undefined;
}

/** Whether the caller may see and run a pipeline. Others are reported as not found. */
export const mayUse = ({ pipelines }: Caller, { name }: Pick<Pipeline, 'name'>): boolean =>
  pipelines === undefined || pipelines.includes(name);

/**
 * The authenticated identity that decisions record: the key, or the user named by a proxy or a token. Undefined where requests
 * are not authenticated.
 */
export function actorOf({ key, user }: Caller): string | undefined {
  if (key) return `key:${key.id}`;
  return user === undefined ? undefined : `user:${user}`;
}

/**
 * The owner of a caller's sessions within its tenant: the key, the `owner` that several keys share, or the user. Undefined without
 * any of them: sessions then belong to the tenant.
 */
export function ownerOf(caller: Caller): string | undefined {
  return caller.key?.owner === undefined ? actorOf(caller) : `key:${caller.key.owner}`;
}

/** Name of a pipeline's sessions of a caller, beside its tenant. */
export function sessionsOf(pipeline: string, caller: Caller): string {
  const owner = ownerOf(caller);
  return owner === undefined ? pipeline : `${pipeline}/${owner}`;
}
