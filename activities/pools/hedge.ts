import { linkedAbort } from '../../runtime/limited.js';

/** Rejects soon after its signal aborts. */
type StartedCall<T> = (signal: AbortSignal) => Promise<T>;

export interface HedgedCall<T> {
  /** Delay after which the second call is made, in milliseconds. */
  readonly afterMs: number;
  readonly signal: AbortSignal;
  readonly first: StartedCall<T>;
  /** Called once, when the first call is late; undefined if no second call may be made. */
  second(): StartedCall<T> | undefined;
  /**
   * Called once with the second call's outcome: `won` it answered first, `lost` the first did, `failed` neither;
   * `withheld`: it was not made.
   */
  ended(outcome: HedgeOutcome): void;
}

const BEATEN = 'the other call of the hedge answered first';

/** Whether a call was aborted because the other one of its hedge had answered. */
export const isBeaten = (reason: unknown): boolean => reason instanceof DOMException && reason.message === BEATEN;

export type HedgeOutcome = 'won' | 'lost' | 'failed' | 'withheld';

/**
 * The first success of one call and, if that is late, a second one (Dean and Barroso, "The Tail at Scale", 2013). The
 * other call is aborted at once and not awaited. If one call fails, the other is awaited; if both fail, the first
 * call's error is thrown. A call that fails before it is late is not hedged: that would be a retry, which the policy
 * owns.
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
          other.abort(new DOMException(BEATEN, 'AbortError'));
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
