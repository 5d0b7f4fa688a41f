import { isAway, MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { nextAttempt, UNTRIED } from '../../pipelines/retry.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { Clock } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { Attempt } from '../stage/serving.js';
import { resting } from './resting.js';

/**
 * Gives each try of a sentence the checkpoint of the one before, the first of all that of an earlier attempt. What a server has of a
 * sentence can be removed when the next one begins, since no attempt asks for it again: a long text would fill the server.
 */
export class BegunSentence {
  readonly #attempt: Attempt;
  #checkpoint: Json;
  /** Removes what servers have of the sentence. */
  readonly #removals: (() => void)[] = [];

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#checkpoint = attempt.resumeFrom;
  }

  /** Speaks a sentence, to whose checkpoint no other sentence goes on. */
  async goOn<T>(speaking: (own: () => Attempt) => Promise<T>): Promise<T> {
    // Another attempt does not go on from what is removed.
    if (this.#removals.length > 0) this.#attempt.checkpoint(null);
    for (const remove of this.#removals.splice(0)) remove();
    const checkpoint = (progress: Json) => {
      this.#checkpoint = progress;
      this.#attempt.checkpoint(progress);
    };
    const more = { checkpoint, ...(this.#attempt.whenKept && { whenKept: this.#whenKept }) };
    const spoken = await speaking(() => ({ ...this.#attempt, resumeFrom: this.#checkpoint, ...more }));
    this.#checkpoint = null;
    return spoken;
  }

  readonly #whenKept = (work: () => void): void => {
    let done = false;
    const once = () => {
      if (done) return;
      done = true;
      work();
    };
    this.#removals.push(once);
    // Of the last sentence.
    this.#attempt.whenKept?.(once);
  };
}

/** One sentence, with the attempts and within the limits of the policy. The failure of the last one is the stage's. */
export async function spokenSentence<T>(
  serve: (input: JsonObject, attempt: Attempt) => Promise<T>,
  input: JsonObject,
  call: StageCall,
  attemptNow: () => Attempt,
  clock: Clock,
): Promise<T> {
  let tried = UNTRIED;
  for (let calls = 0; ; ) {
    const attempt = attemptNow();
    const { own, release } = linkedAbort(attempt.signal);
    const { entryMs } = call;
    const late = new MillraceError('STAGE_TIMEOUT', `a sentence took longer than ${entryMs} ms`);
    const timer = entryMs === undefined ? undefined : clock.timer(entryMs, () => own.abort(late));
    try {
      return await serve(input, { ...attempt, signal: own.signal, attempt: calls + 1, tried, queueMs: 0 });
    } catch (error) {
      attempt.signal.throwIfAborted();
      const failure = own.signal.aborted ? late : error;
      if (!(failure instanceof MillraceError)) throw failure;
      const away = isAway(failure);
      if (!away) calls += 1;
      const next = nextAttempt(call.retry, call.patienceMs, failure, calls, tried, Math.random());
      tried = next.tried;
      const { delayMs } = next;
      if (delayMs === undefined) throw last(failure);
      const pause = () => clock.sleep(delayMs, attempt.signal);
      await (away ? resting(attempt, { clock, afterMs: 0 }, pause) : pause());
    } finally {
      timer?.clear();
      release();
    }
  }
}

/** The host must not try the whole stage again for it. */
function last({ code, message, details, cause }: MillraceError): MillraceError {
  const { unsent: _, ...rest } = details;
  return new MillraceError(code, message, { ...rest, final: true }, { cause });
}
