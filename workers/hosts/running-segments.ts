import type { InjectedSinks } from '@temporalio/worker';
import { follower } from '../../runtime/limited.js';
import type { SegmentSinks } from '../../workflows/segment-turns.js';

/**
 * Most segments that were given up before they began and are remembered; the oldest go first. At most some hundred wait for a
 * slot at once, each a part of a workflow task. The others are those that a replay gives up again, which never begin: only
 * for their sake is there a limit, of some megabytes.
 */
const MOST_ABANDONED = 20_000;

const running = new Map<string, AbortController>();
const abandoned = new Set<string>();

const keyOf = (workflowId: string, runId: string, path: string): string => `${workflowId}:${runId}:${path}`;

interface Begun {
  readonly signal: AbortSignal;
  /** Aborts the signal: the run is to end. */
  abort(): void;
  end(): void;
}

/** A segment begins: a signal that aborts as `cancelled` does, and when the segment's workflow gives it up, until `end`. */
export function beginSegment(workflowId: string, runId: string, path: string, cancelled: AbortSignal): Begun {
  const key = keyOf(workflowId, runId, path);
  const { own, release } = follower(cancelled);
  if (abandoned.delete(key)) own.abort(givenUp());
  // The same segment again in this process: its workflow has lost sight of the first, whose calls are not to go on beside it.
  running.get(key)?.abort(new Error('the segment has begun again'));
  running.set(key, own);
  const end = () => {
    release();
    if (running.get(key) === own) running.delete(key);
  };
  return { signal: own.signal, abort: () => own.abort(new Error('the run is to end')), end };
}

const givenUp = () => new Error('the run went on without the segment');

/**
 * What a worker gives its workflows: the end of a segment that nobody waits for any more. A local activity runs in the
 * process of its workflow, so this reaches it at once, and without Temporal's own cancellation, which loses the workflow
 * task when the activity has just ended.
 */
export const segmentSinks: InjectedSinks<SegmentSinks> = {
  segments: {
    abandon: {
      fn({ workflowId, runId }, path) {
        const key = keyOf(workflowId, runId, path);
        const found = running.get(key);
        if (found) return found.abort(givenUp());
        abandoned.add(key);
        const [oldest] = abandoned;
        if (abandoned.size > MOST_ABANDONED && oldest !== undefined) abandoned.delete(oldest);
      },
      // A worker that takes over runs again what had not ended: then it begins with its end.
      callDuringReplay: true,
    },
  },
};
