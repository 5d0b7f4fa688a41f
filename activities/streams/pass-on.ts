import { isStreamLost } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { channelOfCall } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import type { Moment } from '../../runtime/moment.js';
import { type ChannelName, MOST_BYTES, startHash } from '../../stores/channels/channel.js';
import { ChannelWriter } from '../../stores/channels/index.js';
import type { ProducingParts } from './produce.js';
import { produceEntries } from './produce-entries.js';

/** A call whose entries are passed on. */
export interface PassingOn {
  readonly run: string;
  readonly call: StageCall;
  readonly signal: AbortSignal;
  /** When the check of the call's result began. */
  readonly begunAt: Moment;
}

/**
 * Commits the entries of a call of another worker that readers lack: of an outcome that was kept, or of a worker that did not reach the state
 * store. A stream that has ended stays as it is. Readers take the collected list while the store is away, and where the entries are more
 * than a channel holds: the call is over, and nothing else would wait for readers that lag. Returns the output as readers have it. Throws
 * `STREAM_CUT` if they have other entries.
 */
export async function passOnEntries(
  parts: ProducingParts,
  { run, call, signal, begunAt }: PassingOn,
  outcome: Pick<StageOutcome, 'output'>,
): Promise<JsonObject> {
  const name = { run, path: channelOfCall(call), of: 'entries' };
  const held = await parts.channels.read(name, 0, 1).catch(() => undefined);
  if (held?.end !== undefined) return outcome.output;
  const attempt = { run, signal, begunAt, attempt: 1, queueMs: 0, resumeFrom: null, checkpoint: () => undefined };
  try {
    if (!fits(outcome.output.items)) {
      await leaveToList(parts, name, { call, signal, begunAt });
      return outcome.output;
    }
    return (await produceEntries(parts, { call, attempt }, async () => outcome)).output;
  } catch (error) {
    if (isStreamLost(error)) return outcome.output;
    throw error;
  }
}

/** Whether a channel holds all of some values at once. */
function fits(items: Json | undefined): boolean {
  let bytes = 0;
  for (const value of Array.isArray(items) ? (items as readonly Json[]) : []) {
    bytes += BYTES_OF_HASH + Buffer.byteLength(JSON.stringify({ value }));
    if (bytes > MOST_BYTES) return false;
  }
  return true;
}

/** Each entry is stored with the hash of what precedes it. */
const BYTES_OF_HASH = startHash({ run: '', path: '', of: '' }).length;

/** Ends a channel such that its readers take the list. */
async function leaveToList(
  { channels }: ProducingParts,
  name: ChannelName,
  { call, signal, begunAt }: Omit<PassingOn, 'run'>,
): Promise<void> {
  const writer = await ChannelWriter.open(channels, name, { signal, ttlMs: channelTtlMs(call), begunAt });
  try {
    await writer.end({ as: 'void' });
  } finally {
    writer.close();
  }
}
