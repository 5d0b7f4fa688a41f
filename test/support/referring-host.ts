import { type StreamsOf, streamsOf, valuesOfEntries, withEntries } from '../../activities/stage/held-entries.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { MoreEntries, Segment, StageCall } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import {
  ChannelPieces,
  ChannelValues,
  interpretSegment,
  type Pieces,
  type RunHost,
} from '../../workflows/interpreter/index.js';
import { changed } from './changed-host.js';

/** What a history would have of a run. */
export interface Written {
  readonly calls: { readonly input: JsonObject; readonly call: StageCall }[];
  readonly waits: MoreEntries[];
  readonly commits: { readonly from: number; readonly count: number }[];
}

export const nothingWritten = (): Written => ({ calls: [], waits: [], commits: [] });

interface Referring {
  readonly runner: StreamsOf;
  readonly run: string;
  /** Ends what waits for entries when the test is over. */
  readonly signal?: AbortSignal;
  readonly written?: Written;
  /** Inline steps run in segments. */
  readonly segments?: boolean;
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/**
 * A host that gives the interpreter what a workflow gives it, without Temporal: places of entries, of which the calls read the values, and
 * commits by calls. All of it passes through JSON, as it would through a history.
 */
export const referring = (host: RunHost, given: Referring): RunHost => {
  const { runner, run, signal = new AbortController().signal, written = nothingWritten(), segments = false } = given;
  const pieces: Pieces = {
    read(channel, by) {
      const own = new AbortController();
      const both = AbortSignal.any([signal, own.signal]);
      return new ChannelPieces(channel, by, {
        async next(what) {
          by.leftMs();
          try {
            const more = copy(await streamsOf(runner, run, both).wait(copy(what)));
            written.waits.push(more);
            return more;
          } catch (error) {
            if (own.signal.aborted) return undefined;
            throw asStageError(error);
          }
        },
        cancel: () => own.abort(),
      });
    },
    write: async (path, by) =>
      new ChannelValues(path, by, async (what, values) => {
        by.leftMs();
        const { count } = await streamsOf(runner, run, signal).commit(copy(what), copy(values)).catch(rethrow);
        written.commits.push({ from: what.from, count });
        return { count };
      }),
  };
  return changed(host, (inner) => ({
    ...(inner.pieces && { pieces }),
    async runStage(stage, input, call, ...more) {
      written.calls.push({ input, call });
      const [whole, ofKind] = await withEntries(runner, copy(input), copy(call), run, signal).catch(rethrow);
      return await inner.runStage(stage, whole, ofKind, ...more);
    },
    ...(segments && {
      async runSegment({ held = {}, ...segment }: Segment) {
        const values = await valuesOfEntries(runner, held, run, signal).catch(rethrow);
        const scope = { ...segment.scope, ...Object.fromEntries(values) };
        return copy(await interpretSegment(copy({ ...segment, scope }), inner));
      },
    }),
  }));
};

const rethrow = (error: unknown): never => {
  throw asStageError(error);
};

/** As Temporal's host has it. */
const asStageError = (error: unknown): unknown =>
  error instanceof MillraceError ? new StageError(error.code, error.message, error.details as JsonObject) : error;
