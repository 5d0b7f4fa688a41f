import { condition, workflowInfo } from '@temporalio/workflow';
import type { Segment, SegmentOutcome } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';

/**
 * Time after its lease until the outcome of a fast host that lost its journal has reached Temporal, in milliseconds.
 */
const HAND_OVER_MS = 1_000;

/** Pauses between checks for the state store, in ms: doubling, so that a day of them does not fill the history. */
const PAUSE = { firstMs: 1_000, mostMs: 30_000 };

export interface SegmentAttempts {
  readonly segment: Segment;
  /** Messages to a guarded run: an outcome, or null if no host has started it. */
  readonly inbox: (SegmentOutcome | null)[];
  /** Runs the segment's activity once. `begun`: another process may have started the segment. */
  runOnce(leftMs: number, begun: boolean): Promise<SegmentOutcome>;
  /** Displays whether the segment waits for the state store. */
  waits(now: boolean): void;
}

/**
 * Runs a segment's activity until the segment has run, or its fast host has sent the outcome. While a fast host or an
 * earlier attempt of the workflow task may have started it, nothing of it runs without the journal: if a worker cannot
 * reach the state store, the run waits until its deadline, and after each pause any worker may run the activity.
 */
export async function untilRun({ segment, inbox, runOnce, waits }: SegmentAttempts): Promise<SegmentOutcome> {
  const end = Date.now() + segment.leftMs;
  const guarded = segment.guarded !== undefined;
  // An earlier task scheduled the activity, and a worker started it then.
  let begun = workflowInfo().unsafe.isReplaying;
  let hosted = guarded;
  let pauseMs = PAUSE.firstMs;
  if (guarded) {
    // A signal in the first task is handled after the workflow's first steps: at the second check it has arrived.
    let checks = 0;
    await condition(() => inbox.length > 0 || checks++ > 0);
  }
  for (;;) {
    for (let message = inbox.shift(); message !== undefined; message = inbox.shift()) {
      if (message === null) hosted = false;
      else if (!message.left) return message;
    }
    const outcome = await runOnce(end - Date.now(), begun || hosted);
    waits(outcome.away === 'store');
    if (outcome.left) {
      await condition(() => inbox.length > 0, HAND_OVER_MS);
      continue;
    }
    if (outcome.away === undefined) return outcome;
    begun = true;
    const leftMs = end - Date.now();
    if (leftMs <= 0)
      throw new StageError('STAGE_TIMEOUT', `segment "${segment.path}": ${AWAY}`, { stage: segment.path });
    await condition(() => inbox.length > 0, Math.min(pauseMs, leftMs));
    pauseMs = Math.min(2 * pauseMs, PAUSE.mostMs);
  }
}

const AWAY = 'no worker that was asked could reach its journal in the state store, so it is unknown what had completed';
