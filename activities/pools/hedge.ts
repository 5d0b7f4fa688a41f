import { linkedAbort } from '../../runtime/limited.js';

/** Rejects soon after its signal aborts. */
type StartedCall<T> = (signal: AbortSignal) => Promise<T>;

export interface HedgedCall<T> {
  /** How late the first call must be for a second one, in milliseconds. */
  readonly afterMs: number;
  readonly signal: AbortSignal;
  readonly first: StartedCall<T>;
  /** Asked once, when the first is late; undefined when no second call may be made. */
  second(): StartedCall<T> | undefined;
  /**
   * Told once of a second call's end: `won` it answered first, `lost` the first did, `failed` neither; `withheld`: none
   * was made.
   */
  ended(outcome: HedgeOutcome): void;
}

export type HedgeOutcome = 'won' | 'lost' | 'failed' | 'withheld';

/**
 * The first success of one call and, when that is late, a second (Dean and Barroso, "The Tail at Scale", 2013). The other
 * call's signal aborts at once, and nobody waits for its end. A failure of one waits for the other; when both fail, the
 * first call's error is thrown. A call that fails before it is late is not hedged: that is a retry, and the policy's.
 */
export function hedged<T>({ afterMs, signal, first, second, ended }: HedgedCall<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const calls = { first: linkedAbort(signal), second: linkedAbort(signal) };
    let running = 0;
    let hasSecond = false;
    let settled = false;
    let failure: { readonly error: unknown } | undefined;

    const settle = (outcome: HedgeOutcome, answer: () => void) => {
      settled = true;
      clearTimeout(timer);
      calls.first.release();
      calls.second.release();
      if (hasSecond) ended(outcome);
      answer();
    };
    const run = (which: 'first' | 'second', call: StartedCall<T>) => {
      running += 1;
      call(calls[which].own.signal).then(
        (result) => {
          if (settled) return;
          settle(which === 'second' ? 'won' : 'lost', () => resolve(result));
          const other = calls[which === 'first' ? 'second' : 'first'].own;
          other.abort(new DOMException('the other call of the hedge answered first', 'AbortError'));
        },
        (error: unknown) => {
          running -= 1;
          if (which === 'first' || failure === undefined) failure = { error };
          if (!settled && running === 0) settle('failed', () => reject(failure?.error));
        },
      );
    };
    const late = () => {
      if (signal.aborted) return;
      const call = second();
      if (call === undefined) return ended('withheld');
      hasSecond = true;
      run('second', call);
    };
    const timer = setTimeout(late, afterMs);
    run('first', first);
  });
}
