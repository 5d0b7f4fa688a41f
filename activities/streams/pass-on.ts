import { isStreamLost } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import type { ProducingParts } from './produce.js';
import { produceEntries } from './produce-entries.js';

/**
 * Commits the entries of a call of another worker that readers lack: of an outcome that was kept, or of a worker that did not reach the state
 * store. A stream that has ended stays as it is. While the store is away readers take the collected list. Returns the output as readers
 * have it. Throws `STREAM_CUT` if they have other entries.
 */
export async function passOnEntries(
  parts: ProducingParts,
  { run, call, signal }: { readonly run: string; readonly call: StageCall; readonly signal: AbortSignal },
  outcome: Pick<StageOutcome, 'output'>,
): Promise<JsonObject> {
  const name = { run, path: call.path ?? call.stage, of: 'entries' };
  const held = await parts.channels.read(name, 0, 1).catch(() => undefined);
  if (held?.end !== undefined) return outcome.output;
  const attempt = { run, signal, attempt: 1, queueMs: 0, resumeFrom: null, checkpoint: () => undefined };
  try {
    return (await produceEntries(parts, { call, attempt }, async () => outcome)).output;
  } catch (error) {
    if (isStreamLost(error)) return outcome.output;
    throw error;
  }
}
