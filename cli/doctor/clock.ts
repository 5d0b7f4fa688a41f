import type { Redis } from 'ioredis';
import { type Finding, pass, warn } from './finding.js';

/**
 * Largest tolerated clock difference, in milliseconds: queue times compare Temporal's clock with the worker's, and a
 * second is as much as a whole stage takes.
 */
const APART_MS = 1_000;

/** Compares this machine's clock with that of Redis, assuming that half of the round trip is the way back. */
export async function clockFinding(redis: Pick<Redis, 'time'>, about: string): Promise<Finding> {
  const sent = Date.now();
  const started = performance.now();
  const [seconds, microseconds] = (await redis.time()) as unknown as [string | number, string | number];
  const roundTrip = performance.now() - started;
  const theirs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  const apart = theirs - (sent + roundTrip / 2);
  const detail = `${Math.abs(Math.round(apart))} ms apart (± ${Math.ceil(roundTrip / 2)} ms)`;
  if (Math.abs(apart) - roundTrip / 2 < APART_MS) return pass('clock.skew', about, detail);
  const remedy = 'set both clocks by NTP: queue times and times to live are measured across machines';
  return warn('clock.skew', about, `${detail}: this machine is ${apart > 0 ? 'behind' : 'ahead'}`, remedy);
}
