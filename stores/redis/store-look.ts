import type { Redis } from 'ioredis';

/** What a Redis says of itself; absent what it does not show. */
export interface StoreLook {
  /** Its `maxmemory-policy`. */
  readonly policy?: string;
  /** Whether every write goes to an append-only file. */
  readonly appendOnly?: boolean;
  readonly usedBytes?: number;
  /** 0: no limit. */
  readonly limitBytes?: number;
  /** The id of the server's process: the same behind every address and database of one server. */
  readonly server?: string;
}

/**
 * Looks at a store. Managed servers forbid `CONFIG GET` and show most of the same in `INFO`; others forbid `INFO`. Rejects
 * where the server cannot be reached.
 */
export async function lookAt(redis: Pick<Redis, 'info' | 'config'>): Promise<StoreLook> {
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

/** Whether the store may drop what it was told to keep; undefined where it does not show. */
export const mayEvict = ({ policy }: StoreLook): boolean | undefined =>
  policy === undefined ? undefined : policy !== 'noeviction';

async function configured(redis: Pick<Redis, 'config'>, name: string): Promise<string | undefined> {
  const pair = await shown(redis.config('GET', name) as Promise<unknown>);
  const value: unknown = Array.isArray(pair) ? pair[1] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** The answer; undefined where the server refuses the command. */
async function shown<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError' && /^(NOPERM|ERR)/.test(error.message)) return undefined;
    throw error;
  }
}
