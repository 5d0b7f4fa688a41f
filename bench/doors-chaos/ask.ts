import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf as wordsOf } from '../../pipelines/errors.js';
import type { RunDocument, RunPage } from '../../pipelines/run/document.js';
import type { Door, Seen } from './doors.js';
import { answerOf, messageOf } from './turn.js';

/**
 * How the client of a door came by its answer. `answered`: by itself; `fetched`: it had learnt the run's id and asked for it; `listed`:
 * it found its run in the list of runs. `nothing`: the client was told that it failed, and no run has begun. The others are faults.
 */
export type How = 'answered' | 'fetched' | 'listed' | 'nothing' | 'lost' | 'wrong' | 'hung';

export interface Asked {
  readonly how: How;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
  /** What the client's library threw, or what is wrong. */
  readonly detail?: string | undefined;
}

/** A client that has no answer by then never gets one: the pipeline's deadline has passed. */
const LIMIT_MS = 200_000;
/** How long the list of runs may lack one that has begun, in milliseconds: Temporal's index is behind. */
const LISTED_MS = 15_000;
const POLL_MS = 500;

/** Asks through a door; if the client fails, fetches what became of its run. */
export async function ask(base: string, door: Door, number: number): Promise<Asked> {
  const over = AbortSignal.timeout(LIMIT_MS);
  const late = new Promise<Asked>((resolve) => {
    over.addEventListener('abort', () => resolve({ how: 'hung', endedAt: Date.now() }), { once: true });
  });
  return await Promise.race([late, asked(base, door, number, over)]);
}

async function asked(base: string, door: Door, number: number, over: AbortSignal): Promise<Asked> {
  const seen: Seen = {};
  const expected = answerOf(number).join('');
  try {
    const text = await door(base, messageOf(number), seen);
    if (text === expected) return { how: 'answered', endedAt: Date.now() };
    return { how: 'wrong', endedAt: Date.now(), detail: JSON.stringify(text) };
  } catch (error) {
    const detail = wordsOf(error);
    const known = seen.run;
    const run = known ?? (await findRun(base, number, over));
    if (run === undefined) return { how: 'nothing', endedAt: Date.now(), detail };
    const { status, output } = await ended(base, run, over);
    const text = output?.text;
    if (status !== 'succeeded' || text !== expected)
      return { how: 'lost', endedAt: Date.now(), detail: `${detail}; ${run} ${status}: ${JSON.stringify(text)}` };
    return { how: known === undefined ? 'listed' : 'fetched', endedAt: Date.now(), detail };
  }
}

async function ended(base: string, run: string, over: AbortSignal): Promise<RunDocument> {
  for (;;) {
    over.throwIfAborted();
    const document = await read<RunDocument>(`${base}/v1/runs/${encodeURIComponent(run)}`);
    if (document && document.status !== 'running') return document;
    await sleep(POLL_MS);
  }
}

/** The run that an order has begun, by its input. */
async function findRun(base: string, number: number, over: AbortSignal): Promise<string | undefined> {
  const until = Date.now() + LISTED_MS;
  while (Date.now() < until) {
    over.throwIfAborted();
    const page = await read<RunPage>(`${base}/v1/runs?pipeline=clerk&limit=40`);
    for (const { id } of page?.runs ?? []) {
      const document = await read<RunDocument>(`${base}/v1/runs/${encodeURIComponent(id)}`);
      if (document?.input?.message === messageOf(number)) return id;
    }
    await sleep(POLL_MS);
  }
  return undefined;
}

/** Undefined while no gateway answers. */
async function read<T>(url: string): Promise<T | undefined> {
  const answer = await fetch(url).catch(() => undefined);
  return answer?.ok ? ((await answer.json().catch(() => undefined)) as T | undefined) : undefined;
}
