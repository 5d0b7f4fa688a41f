import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { channelOfCall } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { ChannelRef, StageCall } from '../../pipelines/run/index.js';
import { linkedAbort } from '../../runtime/limited.js';
import { ChannelWriter, keepChannel, readStream } from '../../stores/channels/index.js';
import type { Attempt } from '../stage/serving.js';
import { CodeStreams, Repeated } from './code-streams.js';
import { opened } from './opening.js';
import type { ProducingParts } from './produce.js';

export interface Output {
  readonly output: JsonObject;
}

/**
 * Runs an attempt of a function that reads streams, or yields one that other stages read while it runs. What an earlier attempt has
 * committed stays: a finished stream is returned without a call. Throws `STREAM_CUT` for a function that yields something else,
 * unless the call says that the stream then ends; `STREAM_LOST` if the store cannot be reached at the start.
 */
export async function produceEntries<T extends Output>(
  { channels: log, clock }: ProducingParts,
  { call, attempt }: { readonly call: StageCall; readonly attempt: Attempt },
  serve: (attempt: Attempt, committed: readonly Json[]) => Promise<T>,
): Promise<T> {
  const { run, signal, begunAt } = attempt;
  const path = call.path ?? call.stage;
  const writes = call.writes?.includes('entries') ?? false;
  const name = { run, path: channelOfCall(call), of: 'entries' };
  const ttlMs = channelTtlMs(call);
  const open = (patient: boolean) => ChannelWriter.open(log, name, { signal, ttlMs, patient, begunAt });
  const writer = writes ? await opened(attempt, open) : undefined;
  const nameOf = ({ path: producer, of }: ChannelRef) => ({ run, path: producer, of });
  const { own, release } = linkedAbort(signal);
  const inner = { ...attempt, signal: own.signal };
  let streams: CodeStreams | undefined;
  try {
    const over = writer?.before.end;
    if (over?.outcome !== undefined) return over.outcome as unknown as T;
    streams = new CodeStreams(call, inner, {
      read: (channel, options) => readStream(log, nameOf(channel), options),
      keep: (channel, generation, ended) => keepChannel(log, { ...nameOf(channel), generation }, ended),
      ...{ writer, clock, onLate: (error: MillraceError) => own.abort(error) },
    });
    const committed = streams.committed;
    try {
      const served = await serve({ ...inner, streams }, committed);
      // Of a cached answer nothing was yielded.
      if (writer) await streams.addAll(itemsOf(served).slice(streams.count));
      own.signal.throwIfAborted();
      if (writer) streams.finish();
      await writer?.end({ as: 'done', outcome: served as unknown as Json });
      // It may have left a stream before its end, and holds its producer back no longer.
      for (const [field, ref] of Object.entries(call.reads ?? {})) {
        const name = { ...nameOf(ref), generation: streams.generationOf(field) };
        log.passed(name, path, Number.MAX_SAFE_INTEGER).catch(() => undefined);
      }
      return served;
    } catch (error) {
      const why = own.signal.aborted && !signal.aborted ? own.signal.reason : error;
      if (!(why instanceof Repeated)) throw why;
      // Without the entries that the store has dropped there is no result.
      if (call.onCut !== 'end' || streams.dropped > 0) throw cut(call, streams.dropped + committed.length);
      const outcome = { output: { items: [...committed] }, endpoint: '', device: '', cache: 'off' } as unknown as T;
      await writer?.end({ as: 'cut', outcome: outcome as unknown as Json });
      return outcome;
    }
  } finally {
    streams?.close();
    release();
    writer?.close();
  }
}

/** What a function has yielded, or the segments of a transcript. */
function itemsOf({ output: { items, segments } }: Output): readonly Json[] {
  const list = items ?? segments;
  return Array.isArray(list) ? (list as readonly Json[]) : [];
}

function cut({ stage, kind }: StageCall, count: number): MillraceError {
  const message =
    kind === 'transcribe'
      ? `the recogniser broke off after ${count} segments that have been read, and another attempt heard something else`
      : `the function broke off after ${count} entries that have been read, and another attempt yielded something else; ` +
        'go on from resumeFrom, or yield the same again';
  return new MillraceError('STREAM_CUT', message, { stage });
}
