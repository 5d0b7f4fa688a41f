import type { AudioEncoder, GivenAudio, GivenFormat } from '../../media/index.js';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { speakerOf } from '../../pipelines/plan/index.js';
import { channelPath } from '../../pipelines/run/channel-path.js';
import type { RunDocument } from '../../runs/document.js';
import type { StartedRun } from '../../runs/start.js';
import type { GatewayDeps } from '../deps.js';
import { audioAsMade } from '../http/live-audio.js';
import { asMillraceError } from '../http/problem.js';
import { invalidParam } from './error-body.js';
import type { Model } from './models.js';

/** The audio in a field of a run's output. Throws `INVALID_OUTPUT`. */
export function audioOf({ output }: RunDocument, field: string): Artifact {
  const speech: unknown = output?.[field];
  if (isArtifact(speech)) return speech;
  throw new MillraceError('INVALID_OUTPUT', 'the run returned no audio');
}

interface Wanted {
  readonly model: Model;
  /** The field of the output. */
  readonly field: string;
  /** Undefined if it has ended. */
  readonly run: Pick<StartedRun, 'id' | 'memo'> | undefined;
  readonly tenant: string;
  /** The whole audio when the run has ended. Rejects with its failure. */
  readonly ended: Promise<Artifact>;
  readonly format: GivenFormat;
  readonly signal: AbortSignal;
}

/** A run's audio: as it is made where it is made sentence by sentence, else when the run has ended. */
export async function givenAudio({ encoder, channels }: GatewayDeps, of: Wanted): Promise<GivenAudio> {
  const { model, field, run, tenant, ended, format, signal } = of;
  const speaker = speakerOf(model.pipeline.plan, field);
  if (channels && speaker && run) {
    const name = { run: run.id, path: channelPath(speaker.id, run.memo), of: 'chunks' };
    const live = encoder.live(audioAsMade({ channels, name, tenant, ended, signal }), format, signal);
    if (live) return live;
  }
  return await encoder.encode(tenant, await ended, format, signal);
}

/**
 * The value of the field `voice`. OpenAI's clients must name a voice, also for a pipeline that has a single one: any name
 * stands for that one. Throws `INVALID_INPUT` for a name that is none of several.
 */
export function voiceFor(
  { face: { voices }, pipeline: { name } }: Pick<Model, 'face' | 'pipeline'>,
  named: string | undefined,
  param: string,
): string | undefined {
  if (voices === undefined || named === undefined) return named;
  if (voices.length <= 1) return voices[0];
  if (voices.includes(named)) return named;
  throw invalidParam(param, `"${named}" is not a voice of "${name}"; its voices are ${voices.join(', ')}`);
}

/** Checked before the run starts. */
export async function canGive(encoder: AudioEncoder, format: GivenFormat, param: string): Promise<void> {
  await encoder.require(format).catch((error: unknown) => {
    const { code, message } = asMillraceError(error);
    throw new MillraceError(code, message, { fields: [{ field: param, message }] });
  });
}
