import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { MillraceClient, type RunDocument } from '../../client/index.js';
import type { Load } from '../../placement/simulator/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { settings } from './settings.js';

/** A run as seen by its client. */
export interface Seen {
  readonly latencyMs: number;
  readonly endedAt: number;
  /** Until its first audio came over the event stream, in milliseconds; undefined if it spoke none piece by piece. */
  readonly firstAudioMs: number | undefined;
  /** Its sizes in a trace, by column. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Requests to a pipeline, and how their answers become sizes of a trace. */
export interface RunRequest {
  readonly pipeline: string;
  /** Whether its first audio is listened for. */
  readonly speaks: boolean;
  input(serial: number): object;
  sizes(serial: number, run: RunDocument): Readonly<Record<string, number>>;
}

/** Unique to this bench: an earlier one's answers may still be cached. */
const BENCH = randomUUID();
let serial = 0;
/** One run from its request to its answer. Each has its own tenant, so that no cache has its answer. */
async function ask({ pipeline, speaks, input, sizes }: RunRequest): Promise<Seen> {
  const own = serial++;
  const client = new MillraceClient({ baseUrl: gatewayUrl(settings), tenant: `${BENCH}-${own}` });
  const startedAt = performance.now();
  const { run, firstAudioAt } = speaks
    ? await listen(client, (await client.start(pipeline, input(own))).id)
    : { run: await client.run(pipeline, input(own)), firstAudioAt: undefined };
  const endedAt = performance.now();
  return {
    latencyMs: endedAt - startedAt,
    endedAt,
    firstAudioMs: firstAudioAt === undefined ? undefined : firstAudioAt - startedAt,
    sizes: sizes(own, run),
  };
}

/** Follows a run to its end, and notes when its first audio comes. */
async function listen(client: MillraceClient, id: string) {
  let firstAudioAt: number | undefined;
  for await (const event of client.events(id)) {
    if (event.type === 'stage.audio') firstAudioAt ??= performance.now();
    if (event.type !== 'run') continue;
    if (event.run.status !== 'succeeded') throw new Error(`run ${id} ${event.run.status}: ${event.run.error?.message}`);
    return { run: event.run as unknown as RunDocument, firstAudioAt };
  }
  throw new Error(`the events of run ${id} ended before it did`);
}

/** Runs one after the other. */
export async function sequential(request: RunRequest, runs: number): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (let i = 0; i < runs; i += 1) seen.push(await ask(request));
  return seen;
}

/** Runs per second with this many in flight at any time. */
export async function capacity(request: RunRequest, runs: number, inFlight: number): Promise<number> {
  const startedAt = performance.now();
  await pMap(Array.from({ length: runs }), () => ask(request), { concurrency: inFlight });
  return (1_000 * runs) / (performance.now() - startedAt);
}

/** Runs at the times of a load, independent of earlier runs. */
export async function open(request: RunRequest, { timesMs }: Load): Promise<readonly Seen[]> {
  const startedAt = performance.now();
  const runs: Promise<Seen>[] = [];
  for (const at of timesMs) {
    const waitMs = startedAt + at - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const run = ask(request);
    // Errors are reported when all runs have ended.
    run.catch(() => undefined);
    runs.push(run);
  }
  return Promise.all(runs);
}
