import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { limited } from '../../runtime/limited.js';

/** A turn of a worker that died is free after this time, in milliseconds; one that lives renews it three times within. */
const TURN_MS = 10_000;
/** Between two looks at a turn that another worker has. */
const LOOK_MS = 250;
/** Longest wait for Redis: without an answer the worker repairs alone, as if there were no others. */
const ANSWER_MS = 1_000;

const RENEW = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0`;
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

/** A turn that was taken; `waited`: another worker had one before. */
export interface Turn {
  readonly waited: boolean;
  /** Gives the turn to the next worker. Never throws. */
  end(): void;
}

const ALONE: Turn = { waited: false, end: () => undefined };

/**
 * Waits for the turn to repair what `key` names: of all workers with this Redis one repairs at a time, since each repair
 * unloads the model for all. Without Redis, or without its answer, each worker goes ahead. Throws the signal's reason.
 */
export async function turnToRepair(redis: Redis | undefined, key: string, signal: AbortSignal): Promise<Turn> {
  if (!redis) return ALONE;
  const owner = randomUUID();
  const at = `millrace:heal:${key}`;
  for (let waited = false; ; waited = true) {
    let taken: boolean;
    try {
      taken = (await limited(ANSWER_MS, signal, () => redis.set(at, owner, 'PX', TURN_MS, 'NX'))) === 'OK';
    } catch {
      signal.throwIfAborted();
      return { ...ALONE, waited };
    }
    if (taken) return held(redis, at, owner, waited);
    await sleep(LOOK_MS, undefined, { signal });
  }
}

function held(redis: Redis, at: string, owner: string, waited: boolean): Turn {
  const renewing = setInterval(() => {
    redis.eval(RENEW, 1, at, owner, TURN_MS).catch(() => undefined);
  }, TURN_MS / 3);
  renewing.unref();
  return {
    waited,
    end() {
      clearInterval(renewing);
      redis.eval(RELEASE, 1, at, owner).catch(() => undefined);
    },
  };
}
