import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { MillraceClient } from '../../client/index.js';
import type { Load } from '../../placement/simulator/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { settings } from './settings.js';

/** A run as a client saw it. */
export interface Seen {
  readonly latencyMs: number;
  readonly endedAt: number;
  /** What a trace of it says, by column. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** What is asked of a pipeline, request by request, and how its answer is read as sizes of a trace. */
export interface Asked {
  readonly pipeline: string;
  input(serial: number): object;
  sizes(serial: number, run: Awaited<ReturnType<MillraceClient['run']>>): Readonly<Record<string, number>>;
}

/** Of this bench alone: an earlier one's answers may still be cached. */
const BENCH = randomUUID();
let serial = 0;
/** One run from its request to its answer. A tenant of its own: no cache knows its question. */
async function ask({ pipeline, input, sizes }: Asked): Promise<Seen> {
  const own = serial++;
  const client = new MillraceClient({ baseUrl: gatewayUrl(settings), tenant: `${BENCH}-${own}` });
  const startedAt = performance.now();
  const run = await client.run(pipeline, input(own));
  const endedAt = performance.now();
  return { latencyMs: endedAt - startedAt, endedAt, sizes: sizes(own, run) };
}

/** Runs one after the other. */
export async function sequential(asked: Asked, runs: number): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (let i = 0; i < runs; i += 1) seen.push(await ask(asked));
  return seen;
}

/** Runs a second with so many in flight at any time. */
export async function capacity(asked: Asked, runs: number, inFlight: number): Promise<number> {
  const startedAt = performance.now();
  await pMap(Array.from({ length: runs }), () => ask(asked), { concurrency: inFlight });
  return (1_000 * runs) / (performance.now() - startedAt);
}

/** Runs at the times of a load, whatever has ended by then. */
export async function open(asked: Asked, { timesMs }: Load): Promise<readonly Seen[]> {
  const startedAt = performance.now();
  const runs: Promise<Seen>[] = [];
  for (const at of timesMs) {
    const waitMs = startedAt + at - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const run = ask(asked);
    // Told of when all have ended.
    run.catch(() => undefined);
    runs.push(run);
  }
  return Promise.all(runs);
}
