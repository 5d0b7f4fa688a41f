import { setTimeout as sleep } from 'node:timers/promises';
import { isErrorCode, messageOf } from '../../pipelines/errors.js';
import type { Problem, RunDocument } from '../../pipelines/run/document.js';
import { decideTwice } from './decide-twice.js';
import { type Outcome, within } from './outcome.js';
import { doneBy } from './payments.js';

/** A client without an answer retries after this time, with the same idempotency key, in milliseconds. */
const AGAIN_MS = 500;
const POLL_MS = 1_000;

/** The releases; one of them must have carried out all of a run. */
const RELEASES = ['first', 'next'];

export interface RequestedRun {
  readonly number: number;
  /** Base URL of the gateway. */
  readonly base: string;
  readonly pipeline: string;
  /** Whether the client waits on the connection, returns for the result, or has to decide first. */
  readonly client: 'waits' | 'comes back' | 'decides';
  readonly receiver: string;
  /** Idempotency key. */
  readonly key: string;
  /** Called with the run's id as soon as it is known. */
  readonly named: (id: string) => void;
}

/** Starts a run at the gateway's door and waits for its end, like a client that retries indefinitely. */
export async function runToEnd(run: RequestedRun): Promise<Outcome> {
  const began = Date.now();
  return await within(async (late) => {
    let id: string | undefined;
    let decided: boolean | undefined;
    let last = 'no answer';
    while (!late.aborted) {
      const found: Found = await (id === undefined ? start(run) : find(run, id)).catch(notNow);
      if ('again' in found) {
        last = found.again;
        await sleep(AGAIN_MS);
        continue;
      }
      const { document } = found;
      id = document.id;
      run.named(id);
      if (document.status !== 'running') return outcomeOf(run, document, decided, Date.now() - began);
      if (run.client === 'decides' && decided === undefined) {
        const taken = await decideTwice(run.base, document);
        if (taken.length > 1) return { kind: 'lost', message: `took ${taken.join(' and ')} for one decision` };
        decided = taken[0];
      }
      if (run.client !== 'waits') await sleep(POLL_MS);
    }
    return { kind: 'hung', message: last };
  });
}

type Found = { readonly document: RunDocument } | { readonly again: string };

const notNow = (error: unknown): Found => ({ again: messageOf(error) });

async function start({ number, base, pipeline, client, receiver, key }: RequestedRun): Promise<Found> {
  const waits = client === 'waits';
  const headers = { 'content-type': 'application/json', 'idempotency-key': key, ...(waits && { prefer: 'wait=50' }) };
  const body = JSON.stringify({ run: number, receiver });
  const query = waits ? '?priority=interactive' : '';
  return await read(await fetch(`${base}/v1/pipelines/${pipeline}/runs${query}`, { method: 'POST', headers, body }));
}

const find = async ({ base }: RequestedRun, id: string): Promise<Found> =>
  await read(await fetch(`${base}/v1/runs/${encodeURIComponent(id)}`));

/** A run, or that of a problem; other refusals may be retried. */
async function read(answer: Response): Promise<Found> {
  const body = (await answer.json()) as RunDocument | Problem;
  if (answer.ok) return { document: body as RunDocument };
  const { run, code, detail } = body as Problem;
  return run ? { document: run } : { again: `${answer.status} ${code}: ${detail}` };
}

function outcomeOf(
  { number }: RequestedRun,
  { status, output, error }: RunDocument,
  decided: boolean | undefined,
  ms: number,
): Outcome {
  if (status !== 'succeeded')
    return isErrorCode(error?.code)
      ? { kind: 'failed', code: error.code, message: error.message, ms }
      : { kind: 'lost', message: `ended without a code: ${JSON.stringify(error)}` };
  const own = RELEASES.some(
    (release) =>
      output?.first === doneBy(release, 'reserve', number) && output.last === doneBy(release, 'close', number),
  );
  // A decision whose answer was cut off may have been accepted as well.
  const asDecided = decided === undefined || output?.approved === decided;
  return own && asDecided
    ? { kind: 'succeeded', ms, at: Date.now() }
    : { kind: 'lost', message: `another result: ${JSON.stringify(output)}, decided ${decided}` };
}
