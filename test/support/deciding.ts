import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { DECIDE_UPDATE, type GivenDecision, WAITING_QUERY, type Wait } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import type { Waits } from '../../workflows/interpreter/index.js';

/** A loaded machine takes its time. */
const LIMIT_MS = 90_000;

/** What is open at a path, or at all; that of a tool call may be named without the digest at its end. */
const waitAt = (waits: readonly Wait[], path?: string): Wait | undefined =>
  waits.find((wait) => path === undefined || wait.path === path || wait.path.startsWith(`${path}:`));

/** What a run on Temporal waits for at a path, as soon as it does. */
export async function waitOf(run: Pick<WorkflowHandle, 'query'>, path: string): Promise<Wait> {
  return await found(path, () => run.query<readonly Wait[]>(WAITING_QUERY));
}

async function found(path: string | undefined, waits: () => Promise<readonly Wait[]>): Promise<Wait> {
  const end = Date.now() + LIMIT_MS;
  while (Date.now() < end) {
    const wait = waitAt(await waits(), path);
    if (wait) return wait;
    await sleep(20);
  }
  throw new Error(`nothing waits at ${path ?? 'any path'} within ${LIMIT_MS} ms`);
}

export const decideOn = (run: Pick<WorkflowHandle, 'executeUpdate'>, given: GivenDecision) =>
  run.executeUpdate(DECIDE_UPDATE, { args: [given] });

/** Decides on what a run on Temporal waits for at a path, as soon as it does. */
export async function decideAt(
  run: Pick<WorkflowHandle, 'query' | 'executeUpdate'>,
  path: string,
  given: Omit<GivenDecision, 'nonce'>,
): Promise<void> {
  const { nonce } = await waitOf(run, path);
  await decideOn(run, { nonce, ...given });
}

/** The same of a run in this process. */
export async function decideIn(waits: Waits, path: string, given: Omit<GivenDecision, 'nonce'>): Promise<void> {
  const { nonce } = await found(path, async () => waits.open);
  waits.decide({ nonce, ...given });
}

/**
 * Decides over HTTP on what a run waits for, as soon as it does, and gives the answer.
 * @param run the run's URL
 */
export async function decideOver(
  run: string,
  what: 'approve' | 'reject',
  {
    path,
    by,
    headers = {},
  }: { readonly path?: string; readonly by?: string; readonly headers?: Record<string, string> },
): Promise<Response> {
  const { nonce } = await found(path, async () => {
    const { waiting = [] } = (await (await fetch(run, { headers })).json()) as RunDocument;
    return waiting;
  });
  return await fetch(`${run}/${what}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ nonce, ...(by !== undefined && { by }) }),
  });
}
