import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject } from '../../pipelines/json.js';
import type { StageAudio } from '../../pipelines/run/index.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import { base64Of } from '../http/output-media.js';
import type { ParameterDoc } from '../openapi/route-doc.js';

/** How followers of a run receive its audio. */
export type AudioForm = 'inline' | 'ref';

export const AUDIO_PARAMETER: ParameterDoc = {
  description: 'Of a followed run: `ref` sends its audio by reference only, without `data`',
  schema: { type: 'string', enum: ['inline', 'ref'] },
};

/** Takes `audio` out of a query. Throws `INVALID_INPUT`. */
export function audioFormOf(query: unknown): { readonly form: AudioForm; readonly others: Record<string, unknown> } {
  const { audio = 'inline', ...others } = isJsonObject(query) ? query : {};
  if (audio === 'inline' || audio === 'ref') return { form: audio, others };
  const message = `must be "inline" or "ref", not ${JSON.stringify(audio)}`;
  throw new MillraceError('INVALID_INPUT', `audio: ${message}`, { fields: [{ field: 'audio', message }] });
}

/** Largest piece that is sent within its event, in bytes: two minutes of speech; larger ones by reference only. */
const MOST_BYTES = 6_000_000;

/** The event with the piece itself, in base64; unchanged if it cannot be read or is larger than it says: the reference remains. */
export async function withData(
  artifacts: Pick<ArtifactStore, 'read'>,
  tenant: string,
  event: StageAudio,
): Promise<StageAudio> {
  if (event.audio.bytes > MOST_BYTES) return event;
  try {
    const data = await base64Of({ artifacts, tenant }, event.audio);
    return data === undefined ? event : { ...event, data };
  } catch {
    return event;
  }
}
