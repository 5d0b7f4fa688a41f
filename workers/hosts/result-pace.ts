import type { SharedSlots } from '../../activities/stage/held-slot.js';
import { SMALL_BYTES } from '../../pipelines/json-limits.js';
import { WORKFLOW_TASK_TIMEOUT_MS } from '../../pipelines/run/index.js';

/** Results of one run that one message may have, in bytes; a single one may have more. */
const MOST_BYTES = 2_000_000;
/** Small ones may have this much, with the others: what reads a record is not to wait for long. */
const MOST_WITH_SMALL_BYTES = 2_500_000;
/** For a result without its data, in bytes. */
const AROUND_BYTES = 500;
/**
 * Time for Temporal to answer a message, in milliseconds. A task that only waits for local activities sends one at 0.8 of its timeout; what ends
 * before the answer begins the next task is in that one's message.
 */
const ANSWER_MS = 1_000;

interface Returned {
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly bytes: number;
}

interface Result {
  readonly bytes: number;
  readonly isSmall: boolean;
}

interface Waiting extends Result {
  go(): void;
}

/** What has been returned to one run, and what waits for that, the oldest first. */
interface Recent {
  readonly results: Returned[];
  readonly waiting: Waiting[];
  bytes: number;
  /** How long a result may be in one message with later ones, in milliseconds. */
  windowMs: number;
  timer?: NodeJS.Timeout | undefined;
}

export interface PaceParts {
  /** Slots of the local activities: a result that waits gives up its own, unless too many of its tenant have. Absent: it keeps it. */
  readonly slots?: Pick<SharedSlots, 'leave' | 'takeBack'> | undefined;
  /** Time for Temporal to answer a message, in milliseconds. Default: 1 s. */
  readonly answerMs?: number;
}

export interface PaceOptions {
  /** Timeout of the run's workflow tasks, in milliseconds. Absent: `WORKFLOW_TASK_TIMEOUT_MS`. */
  readonly taskMs?: number | undefined;
  /** Whose slot it is. */
  readonly tenant?: string;
  /** Aborts when the result is not to be returned any more. */
  readonly signal?: AbortSignal;
}

/**
 * When the results of local activities are returned to their run. Temporal accepts messages of 4 MiB, and one has all of them that end in the same
 * workflow task, beside its commands (`MessageRoom`). What is returned within the timeout of a task, and the time until the next one has begun,
 * must fit.
 */
export class ResultPace {
  readonly #runs = new Map<string, Recent>();
  readonly #slots: PaceParts['slots'];
  readonly #answerMs: number;

  constructor({ slots, answerMs = ANSWER_MS }: PaceParts = {}) {
    this.#slots = slots;
    this.#answerMs = answerMs;
  }

  /**
   * Resolves when a result may be returned; large ones take turns. Rejects with the signal's reason as soon as that aborts.
   * @param run id of the execution
   * @param bytes of the result
   */
  async turn(
    run: string,
    bytes: number,
    { taskMs = WORKFLOW_TASK_TIMEOUT_MS, tenant = '', signal }: PaceOptions = {},
  ): Promise<void> {
    signal?.throwIfAborted();
    const recent = this.#recentOf(run, taskMs + this.#answerMs);
    const result: Result = { bytes: bytes + AROUND_BYTES, isSmall: bytes < SMALL_BYTES };
    forgetOld(recent);
    if ((result.isSmall || !recent.waiting.some(isLarge)) && counted(recent, result)) return;
    const left = this.#slots?.leave(tenant) === true;
    try {
      await waitIn(recent, result, signal);
    } finally {
      // The activity ends now, and its worker releases the slot.
      if (left) this.#slots?.takeBack(tenant);
    }
  }

  #recentOf(run: string, windowMs: number): Recent {
    const there = this.#runs.get(run);
    if (there) {
      there.windowMs = Math.max(there.windowMs, windowMs);
      return there;
    }
    const recent: Recent = { results: [], waiting: [], bytes: 0, windowMs };
    this.#runs.set(run, recent);
    // Forgotten once it has been quiet for that long.
    const forgetting = setInterval(() => {
      forgetOld(recent);
      if (recent.results.length > 0 || recent.waiting.length > 0) return;
      clearInterval(forgetting);
      this.#runs.delete(run);
    }, windowMs).unref();
    return recent;
  }
}

async function waitIn(recent: Recent, result: Result, signal: AbortSignal | undefined): Promise<void> {
  let end: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const own: Waiting = { ...result, go: resolve };
      const abort = () => {
        const at = recent.waiting.indexOf(own);
        if (at >= 0) recent.waiting.splice(at, 1);
        reject(signal?.reason);
      };
      end = () => signal?.removeEventListener('abort', abort);
      signal?.addEventListener('abort', abort, { once: true });
      recent.waiting.push(own);
      passLater(recent);
    });
  } finally {
    end();
  }
}

/** Lets go of what waits as soon as there is room for it. */
function passLater(recent: Recent): void {
  const [oldest] = recent.results;
  const endsInMs = oldest === undefined ? 0 : oldest.at + recent.windowMs - performance.now();
  recent.timer ??= setTimeout(() => {
    recent.timer = undefined;
    forgetOld(recent);
    let isTurn = true;
    for (const each of [...recent.waiting]) {
      if (isLarge(each) && !isTurn) continue;
      if (counted(recent, each)) {
        recent.waiting.splice(recent.waiting.indexOf(each), 1);
        each.go();
      } else if (isLarge(each)) isTurn = false;
    }
    if (recent.waiting.length > 0) passLater(recent);
  }, endsInMs + 1).unref();
}

const isLarge = ({ isSmall }: Result): boolean => !isSmall;

/** Counts a result as returned if there is room for it. */
function counted(recent: Recent, { bytes, isSmall }: Result): boolean {
  const most = isSmall ? MOST_WITH_SMALL_BYTES : MOST_BYTES;
  if (recent.results.length > 0 && recent.bytes + bytes > most) return false;
  recent.results.push({ at: performance.now(), bytes });
  recent.bytes += bytes;
  return true;
}

function forgetOld(recent: Recent): void {
  const before = performance.now() - recent.windowMs;
  const kept = recent.results.findIndex(({ at }) => at >= before);
  for (const { bytes } of recent.results.splice(0, kept < 0 ? recent.results.length : kept)) recent.bytes -= bytes;
}
