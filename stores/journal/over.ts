import type { Redis } from 'ioredis';
import { ERASED_MS } from '../redis/index.js';
import { withErasable } from './keys.js';
import { erase, isOver, keepFor, revoke } from './scripts.js';

/** Shortens the expiry of a guarded run's journal after its outcome has reached Temporal, unless the journal is erased. */
export async function releaseRecord(redis: Redis, key: string): Promise<void> {
  await keepFor(redis, withErasable(key), '', KEPT_ENDED_MS);
}

/**
 * Whether nobody goes on from a guarded run's journal any more: `releaseRecord` has shortened its expiry, which is longer until then, or it is
 * revoked or erased. False if Redis does not say so.
 */
export async function isReleased(redis: Redis, key: string): Promise<boolean> {
  return (await isOver(redis, [key], KEPT_ENDED_MS).catch(() => 0)) === 1;
}

/** Revokes the journal of a run that has not started: no call of it begins, and a fast host that runs it ends it. */
export async function revokeRecord(redis: Redis, key: string): Promise<void> {
  await revoke(redis, [key], KEPT_ENDED_MS);
}

/**
 * How long the journal of an ended segment is kept after its outcome has reached Temporal, in milliseconds: a fast host may still have
 * a job of it. At a hundred runs a second this keeps 12 000 journals in Redis.
 */
export const KEPT_ENDED_MS = 120_000;

/** Erases what a journal of a run that has ended holds. What is left of its owner begins nothing more, and records nothing. */
export async function eraseJournal(redis: Redis, key: string): Promise<void> {
  await erase(redis, withErasable(key), ERASED_MS);
}
