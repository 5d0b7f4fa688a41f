import { condition, workflowInfo } from '@temporalio/workflow';
import type { Segment, SegmentOutcome } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';

/** What a fast host that has lost its journal tells Temporal is there this long after its lease, in milliseconds. */
const HAND_OVER_MS = 1_000;

/** Pauses between two looks for the state store, in milliseconds: doubling, so that a day of them is no history that is full. */
const PAUSE = { firstMs: 1_000, mostMs: 30_000 };

export interface Asked {
  readonly segment: Segment;
  /** What a guarded run was told of itself: an outcome, or null when nobody has begun it. */
  readonly inbox: (SegmentOutcome | null)[];
  /** Asks the segment's activity once. `begun`: another process may have begun it. */
  ask(leftMs: number, begun: boolean): Promise<SegmentOutcome>;
  /** Shows whether the segment waits for the state store. */
  waits(now: boolean): void;
}

/**
 * Asks a segment's activity until it has run, or its fast host has told what it has done. While a fast host, or an earlier
 * attempt at the workflow task, may have begun it, nothing of it runs without the journal: where a worker does not reach the
 * state store the run waits, until its deadline, and after each pause any worker may ask.
 */
export async function untilRun({ segment, inbox, ask, waits }: Asked): Promise<SegmentOutcome> {
  const end = Date.now() + segment.leftMs;
  const guarded = segment.guarded !== undefined;
  // An earlier task has scheduled it, and a worker has begun it then.
  let begun = workflowInfo().unsafe.isReplaying;
  let hosted = guarded;
  let pauseMs = PAUSE.firstMs;
  if (guarded) {
    // A signal of the first task comes after the workflow's own first steps: at the second look it is there.
    let looks = 0;
    await condition(() => inbox.length > 0 || looks++ > 0);
  }
  for (;;) {
    for (let told = inbox.shift(); told !== undefined; told = inbox.shift()) {
      if (told === null) hosted = false;
      else if (!told.left) return told;
    }
    const outcome = await ask(end - Date.now(), begun || hosted);
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
