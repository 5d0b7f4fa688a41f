import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { type Artifact, isArtifact } from '../pipelines/artifact.js';
import { isStreamLost } from '../pipelines/errors.js';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { speakerOf } from '../pipelines/plan/index.js';
import { channelPath } from '../pipelines/run/channel-path.js';
import type { RunContext } from '../pipelines/run/index.js';
import { linkedAbort } from '../runtime/limited.js';
import { type ChannelLog, type ChannelName, type Position, readChannel } from '../stores/channels/index.js';
import type { RunDeps } from './deps.js';
import { describeRun } from './described-run.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { argumentsOf } from './read.js';

/**
 * The channel of the audio in a field of a run's output, if a stage speaks a stream: it can be heard before the run
 * ends. Undefined for any other field, and for a run that no worker has started yet. Throws `ORCHESTRATOR_UNAVAILABLE`.
 */
export async function liveAudioOf(
  { temporal }: Pick<RunDeps, 'temporal'>,
  id: string,
  field: string,
): Promise<ChannelName | undefined> {
  const [, context = null] = await startedWith(temporal, id);
  if (!isJsonObject(context)) return undefined;
  const given = context as unknown as Partial<RunContext>;
  const stage = given.plan && speakerOf(given.plan, field);
  return stage && { run: id, path: channelPath(stage.id, given), of: 'chunks' };
}

async function startedWith(temporal: Client, id: string): Promise<readonly Json[]> {
  try {
    const { runId } = await describeRun(temporal, id);
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => argumentsOf(temporal, id, runId, 2));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw fromTemporal(error, id);
  }
}

/** A piece of a run's audio. */
export interface HeardPiece {
  readonly audio: Artifact;
  /** What is said, and where it begins in the whole text, in UTF-16 units. */
  readonly text: string;
  readonly at: number;
  readonly number: number;
  /** Hash of everything up to and including it: with the number the position of a client that comes back. */
  readonly hash: string;
}

/**
 * The pieces of a run's audio as they are made. It ends when there are no more, when `ended` aborts, because the whole can be had, or
 * if the store has lost them; returns whether they are complete. Throws the reason of `signal`.
 */
export async function* heardPieces(
  channels: ChannelLog,
  name: ChannelName,
  { signal, ended, after }: { readonly signal: AbortSignal; readonly ended: AbortSignal; readonly after?: Position },
): AsyncGenerator<HeardPiece, boolean> {
  const { own, release } = linkedAbort(signal);
  const stop = () => own.abort();
  ended.addEventListener('abort', stop, { once: true });
  if (ended.aborted) stop();
  try {
    const entries = readChannel(channels, name, { signal: own.signal, ...(after && { after }) });
    for (let next = await entries.next(); !next.done; next = await entries.next()) {
      const { value, number, hash } = next.value;
      if (!isJsonObject(value) || !isArtifact(value.audio)) continue;
      yield { audio: value.audio, text: String(value.text ?? ''), at: Number(value.at ?? 0), number, hash };
    }
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (ended.aborted || isStreamLost(error)) return false;
    throw error;
  } finally {
    ended.removeEventListener('abort', stop);
    release();
  }
}
