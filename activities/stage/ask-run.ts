import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../../pipelines/errors.js';
import {
  ASK_UPDATE,
  type Elicited,
  type HeldQuestion,
  type Question,
  type StageCall,
} from '../../pipelines/run/index.js';

/** Pause before a question that has not reached the run, or that the run has no room for, is sent again: the first one, doubled each time up to the last. */
const AGAIN_MS = { first: 1_000, last: 10_000 };

/**
 * Asks a person by the run that made the call, which holds the question as a wait, and resolves with the answer; `cancel` if the run takes no
 * question of this call. Rejects with the reason of `signal`. A question that Temporal has lost sight of is sent again and asked once.
 */
export async function askRun(
  { info, client }: Pick<Context, 'info' | 'client'>,
  { stage, path = stage }: Pick<StageCall, 'stage' | 'path'>,
  question: Question,
  signal: AbortSignal,
): Promise<Elicited> {
  const { workflowId = '', runId } = info.workflowExecution ?? {};
  const given: HeldQuestion = { path, attempt: info.attempt, question };
  let updateId = newId();
  for (let pauseMs = AGAIN_MS.first; ; pauseMs = Math.min(2 * pauseMs, AGAIN_MS.last)) {
    try {
      return await client.withAbortSignal(signal, () =>
        client.workflow
          .getHandle(workflowId, runId)
          .executeUpdate<Elicited, [HeldQuestion]>(ASK_UPDATE, { args: [given], updateId }),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WorkflowNotFoundError) return { action: 'cancel' };
      if (error instanceof WorkflowUpdateFailedError) {
        const code = error.cause instanceof ApplicationFailure ? error.cause.type : undefined;
        if (code === 'NOT_WAITING') return { action: 'cancel' };
        if (code !== 'RATE_LIMITED') throw unasked(error);
        updateId = newId();
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

const newId = (): string => `ask-${randomUUID()}`;

const unasked = (cause: WorkflowUpdateFailedError): MillraceError =>
  new MillraceError(
    'INTERNAL',
    `the run has not taken a question: ${cause.cause?.message ?? cause.message}`,
    {},
    { cause },
  );
