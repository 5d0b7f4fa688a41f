import type { Redis } from 'ioredis';

/** The configuration of a Redis; fields that it does not reveal are absent. */
export interface StoreState {
  /** Its `maxmemory-policy`. */
  readonly policy?: string;
  /** Whether it has an append-only file. */
  readonly appendOnly?: boolean;
  readonly usedBytes?: number;
  /** 0: no limit. */
  readonly limitBytes?: number;
  /** Id of the server's process, equal for every address and database of one server. */
  readonly server?: string;
}

/**
 * Reads a store's configuration. Managed servers forbid `CONFIG GET` and show most of the same in `INFO`; others forbid
 * `INFO`. Rejects if the server is unreachable.
 */
export async function readStoreState(redis: Pick<Redis, 'info' | 'config'>): Promise<StoreState> {
  const info = await shown(redis.info());
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info ?? '')?.[1];
  const policy = field('maxmemory_policy') ?? (await configured(redis, 'maxmemory-policy'));
  const appendOnly = field('aof_enabled') ?? (await configured(redis, 'appendonly'));
  const limit = field('maxmemory') ?? (await configured(redis, 'maxmemory'));
  const used = field('used_memory');
  const server = field('run_id');
  return {
    ...(policy !== undefined && { policy }),
    ...(appendOnly !== undefined && { appendOnly: appendOnly === '1' || appendOnly === 'yes' }),
    ...(used !== undefined && { usedBytes: Number(used) }),
    ...(limit !== undefined && { limitBytes: Number(limit) }),
    ...(server !== undefined && { server }),
  };
}

/** Whether the store may evict data that must be kept; undefined if unknown. */
export const mayEvict = ({ policy }: StoreState): boolean | undefined =>
  policy === undefined ? undefined : policy !== 'noeviction';

async function configured(redis: Pick<Redis, 'config'>, name: string): Promise<string | undefined> {
  const pair = await shown(redis.config('GET', name) as Promise<unknown>);
  const value: unknown = Array.isArray(pair) ? pair[1] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** The reply; undefined if the server rejects the command. */
async function shown<T>(reply: Promise<T>): Promise<T | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError' && /^(NOPERM|ERR)/.test(error.message)) return undefined;
    throw error;
  }
}
