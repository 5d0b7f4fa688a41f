import type { InjectedSinks } from '@temporalio/worker';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { SegmentSinks } from '../../workflows/segment-turns.js';

/**
 * Most remembered segments that were abandoned before they began; the oldest are dropped first. At most some hundred segments wait for a
 * slot at a time. The others come from replays, which abandon segments that never begin; the limit bounds their memory to some
 * megabytes.
 */
const MOST_ABANDONED = 20_000;

const running = new Map<string, AbortController>();
const abandoned = new Set<string>();

const keyOf = (workflowId: string, runId: string, path: string): string => `${workflowId}:${runId}:${path}`;

interface Begun {
  readonly signal: AbortSignal;
  /** Aborts the signal because the run is ending. */
  abort(): void;
  end(): void;
}

/** Registers a segment that begins. Its signal aborts with `cancelled` and when its workflow abandons the segment, until `end`. */
export function beginSegment(workflowId: string, runId: string, path: string, cancelled: AbortSignal): Begun {
  const key = keyOf(workflowId, runId, path);
  const { own, release } = linkedAbort(cancelled);
  if (abandoned.delete(key)) own.abort(givenUp());
  // The same segment again in this process: its workflow has lost the first one, whose calls must not continue.
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
 * Sink by which a workflow abandons a segment. A local activity runs in the process of its workflow, so this takes effect at once, and
 * avoids Temporal's cancellation of local activities, which loses the workflow task if the activity has just ended.
 */
export const segmentSinks: InjectedSinks<SegmentSinks> = {
  segments: {
    abandon: {
      fn({ workflowId, runId }, path) {
        const key = keyOf(workflowId, runId, path);
        const found = running.get(key);
        if (found) return found.abort(givenUp());
        abandoned.add(key);
        keepNewest(abandoned, MOST_ABANDONED);
      },
      // A worker that replays the workflow starts segments again that had not ended; abandoned ones must abort at once.
      callDuringReplay: true,
    },
  },
};
