import { setTimeout as sleep } from 'node:timers/promises';
import { SMALL_BYTES } from '../../pipelines/json-limits.js';
import { WORKFLOW_TASK_TIMEOUT_MS } from '../../pipelines/run/index.js';

/** Results of one run within the time of a workflow task, in bytes; a single one may have more. */
const MOST_BYTES = 2_000_000;
/** Small ones may have this much, with the others: what reads a record is not to wait for long. */
const MOST_WITH_SMALL_BYTES = 2_500_000;
/** For a result without its data, in bytes. */
const AROUND_BYTES = 500;

interface Returned {
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly bytes: number;
}

/** What has been returned to one run, the oldest first. */
interface Recent {
  readonly results: Returned[];
  bytes: number;
  /** The large ones wait in turn. */
  turn: Promise<void>;
  waiting: number;
  /** The time of its workflow tasks, in milliseconds. */
  taskMs: number;
}

export interface PaceOptions {
  /** Timeout of the run's workflow tasks, in milliseconds. Absent: `WORKFLOW_TASK_TIMEOUT_MS`. */
  readonly taskMs?: number | undefined;
  readonly signal?: AbortSignal;
}

/**
 * When the results of local activities are returned to their run. Temporal accepts messages of 4 MiB, and one has all of them that end in the same
 * workflow task, beside its commands (`MessageRoom`). A task ends within its timeout: what is returned within that time must fit.
 */
export class ResultPace {
  readonly #runs = new Map<string, Recent>();

  /**
   * Resolves when a result may be returned. Rejects with the signal's reason.
   * @param run id of the execution
   * @param bytes of the result
   */
  async turn(
    run: string,
    bytes: number,
    { taskMs = WORKFLOW_TASK_TIMEOUT_MS, signal }: PaceOptions = {},
  ): Promise<void> {
    const recent = this.#recentOf(run, taskMs);
    const result = bytes + AROUND_BYTES;
    recent.waiting += 1;
    try {
      if (bytes < SMALL_BYTES) return await returned(recent, result, MOST_WITH_SMALL_BYTES, signal);
      const turn = recent.turn.then(() => returned(recent, result, MOST_BYTES, signal));
      recent.turn = turn.catch(() => undefined);
      await turn;
    } finally {
      recent.waiting -= 1;
    }
  }

  #recentOf(run: string, taskMs: number): Recent {
    const there = this.#runs.get(run);
    if (there) {
      there.taskMs = Math.max(there.taskMs, taskMs);
      return there;
    }
    const recent: Recent = { results: [], bytes: 0, turn: Promise.resolve(), waiting: 0, taskMs };
    this.#runs.set(run, recent);
    // Forgotten once it has been quiet for the time of a task.
    const forgetting = setInterval(() => {
      forgetOld(recent);
      if (recent.results.length > 0 || recent.waiting > 0) return;
      clearInterval(forgetting);
      this.#runs.delete(run);
    }, taskMs).unref();
    return recent;
  }
}

async function returned(recent: Recent, bytes: number, most: number, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    forgetOld(recent);
    const [oldest] = recent.results;
    if (oldest === undefined || recent.bytes + bytes <= most) break;
    await sleep(oldest.at + recent.taskMs - performance.now() + 1, undefined, { ...(signal && { signal }) });
  }
  recent.results.push({ at: performance.now(), bytes });
  recent.bytes += bytes;
}

function forgetOld(recent: Recent): void {
  const before = performance.now() - recent.taskMs;
  const kept = recent.results.findIndex(({ at }) => at >= before);
  for (const { bytes } of recent.results.splice(0, kept < 0 ? recent.results.length : kept)) recent.bytes -= bytes;
}
