import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { isUnderWay } from '../../temporal/run-status.js';

/** Pauses before questions to Temporal, in milliseconds, doubling: a workflow task completes within milliseconds, or there is an outage. */
const PAUSE = { firstMs: 5_000, mostMs: 60_000 };

/** Timeout of a question, in milliseconds. */
const ANSWER_MS = 1_000;

/** What waits for the outcomes of a client's runs. */
const waiting = new WeakMap<Client, Map<string, Set<() => void>>>();

/**
 * Calls `taken` once Temporal has the outcome of a segment that has just ended in this process: the workflow task is complete, or the run
 * has ended. Until then the outcome may be lost, with this worker or while Temporal is away, and the segment begins again. Segments of a run
 * that end within seconds share a question. Never called if this process ends before.
 */
export function whenTaken(client: Client, workflowId: string, runId: string, taken: () => void): void {
  const runs = waiting.get(client) ?? new Map<string, Set<() => void>>();
  waiting.set(client, runs);
  const key = `${workflowId}:${runId}`;
  const there = runs.get(key);
  if (there) {
    there.add(taken);
    return;
  }
  const all = new Set([taken]);
  runs.set(key, all);
  void askUntil(
    () => isTaken(client, workflowId, runId),
    all,
    () => runs.delete(key),
  );
}

/**
 * Calls `done` once the guardian of a run that a fast host has run needs its journal no more: its gateway has noted that Temporal has the
 * outcome, or the run has ended. Until then the run may begin again, after an outage of Temporal for instance.
 * @param isNoted whether the gateway has noted it
 */
export function whenDone(client: Client, workflowId: string, isNoted: () => Promise<boolean>, done: () => void): void {
  const isDone = async () => (await isNoted().catch(() => false)) || (await isOver(client, workflowId));
  void askUntil(isDone, new Set([done]), () => undefined);
}

/** Never rejects. */
async function askUntil(question: () => Promise<boolean>, all: Set<() => void>, over: () => void): Promise<void> {
  for (let pauseMs = PAUSE.firstMs; all.size > 0; pauseMs = Math.min(2 * pauseMs, PAUSE.mostMs)) {
    await new Promise<void>((resolve) => setTimeout(resolve, pauseMs).unref());
    // One that ends during the question is in the next one.
    const asked = [...all];
    if (!(await question())) continue;
    for (const taken of asked) {
      all.delete(taken);
      taken();
    }
    // At once: one that ends from here on has a question of its own.
    if (all.size === 0) over();
  }
}

/** A lost workflow task is pending again. */
async function isTaken(client: Client, workflowId: string, runId: string): Promise<boolean> {
  try {
    const handle = client.workflow.getHandle(workflowId, runId);
    const { status, raw } = await client.withDeadline(Date.now() + ANSWER_MS, () => handle.describe());
    return !isUnderWay(status.name) || !raw.pendingWorkflowTask;
  } catch (error) {
    return error instanceof WorkflowNotFoundError;
  }
}

async function isOver(client: Client, workflowId: string): Promise<boolean> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    return !isUnderWay((await client.withDeadline(Date.now() + ANSWER_MS, () => handle.describe())).status.name);
  } catch (error) {
    return error instanceof WorkflowNotFoundError;
  }
}
