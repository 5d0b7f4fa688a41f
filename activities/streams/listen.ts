import type { Json } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { Attempt } from '../stage/serving.js';
import type { ProducingParts } from './produce.js';
import { type Output, produceEntries } from './produce-entries.js';

/**
 * Runs an attempt of a recogniser whose segments other stages read while it listens. What an earlier attempt has committed must come again:
 * `STREAM_CUT`. Segments that the server gives at the end are passed on then. Throws as `produceEntries`.
 *
 * @param serve gets an attempt whose `segments` takes what is recognised
 */
export async function listen<T extends Output>(
  parts: ProducingParts,
  about: { readonly call: StageCall; readonly attempt: Attempt },
  serve: (attempt: Attempt, committed: readonly Json[]) => Promise<T>,
): Promise<T> {
  return await produceEntries(parts, about, async (inner, committed) => {
    const { streams } = inner;
    const { own, release } = linkedAbort(inner.signal);
    let given = 0;
    let turn: Promise<void> = Promise.resolve();
    let ended = false;
    const segments = (from: number, more: readonly Json[]): void => {
      for (const segment of more.slice(Math.max(0, given - from)))
        turn = turn.then(() => (ended ? undefined : streams?.add(segment)));
      given = Math.max(given, from + more.length);
      turn.catch((error: unknown) => own.abort(error));
    };
    try {
      const served = await serve({ ...inner, signal: own.signal, segments }, committed);
      await turn;
      return served;
    } catch (error) {
      throw own.signal.aborted && !inner.signal.aborted ? own.signal.reason : error;
    } finally {
      // Another attempt writes what has not been passed on.
      ended = true;
      release();
    }
  });
}
