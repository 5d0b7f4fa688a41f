import type { StreamsOf } from '../../activities/stage/held-entries.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { linkedAbort } from '../../runtime/limited.js';
import type { Moment } from '../../runtime/moment.js';
import type { Pieces } from '../../workflows/interpreter/index.js';

/**
 * Streams of an `each` whose interpreter runs in this process: it has the entries themselves. Undefined without channels.
 * @param begunAt when the interpreter began
 */
export function inProcessPieces(
  runner: StreamsOf,
  run: string,
  signal: AbortSignal,
  begunAt: Moment,
): Pieces | undefined {
  const steps = runner.stepStreams?.(run, signal, begunAt);
  if (!steps) return undefined;
  return {
    read(channel, { path }) {
      const { own, release } = linkedAbort(signal);
      const entries = (runner.stepStreams?.(run, own.signal) ?? steps).read(channel, path);
      let closed = false;
      return {
        async next() {
          try {
            const next = await failing(entries.next());
            return next.done ? undefined : next.value;
          } catch (error) {
            if (closed && !signal.aborted) return undefined;
            throw error;
          }
        },
        close() {
          closed = true;
          release();
          own.abort();
          entries.return(undefined).catch(() => undefined);
        },
      };
    },
    async write(path, { runMs }) {
      const writer = await failing(steps.write(path, runMs));
      return {
        add: (...values) => failing(writer.add(...values)),
        end: () => failing(writer.end()),
        close: () => writer.close(),
      };
    },
  };
}

/** Fails as steps do. */
const failing = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    if (!(error instanceof MillraceError)) throw error;
    throw new StageError(error.code, error.message, error.details as JsonObject);
  });
