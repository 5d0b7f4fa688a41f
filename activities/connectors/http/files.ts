import { toInt16, writeWav } from '../../../media/index.js';
import { isArtifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { invalidField } from '../../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { CallContext } from '../connector.js';
import { valueAt } from '../json-values.js';
import { wholeAudio } from '../whole-audio.js';
import type { FileSource, Scope } from './template.js';

/** Seconds of audio in one request: 19 MB as WAV at 16 kHz. */
const MOST_SECONDS = 600;

export interface LoadedFile {
  readonly bytes: Uint8Array;
  readonly mime: string;
}

/** The bytes of an artifact of the stage's input. Throws `INVALID_INPUT` for what is none. */
export async function loadFile(
  { pointer, as, sampleRate }: FileSource,
  scope: Scope,
  context: Pick<CallContext, 'audio' | 'bytes' | 'signal'>,
): Promise<LoadedFile> {
  const artifact = valueAt(scope as JsonObject, pointer);
  if (!isArtifact(artifact)) {
    const field = pointer.replace(/^\/input\//, '').replaceAll('/', '.');
    throw invalidField(field, 'the template needs a file here');
  }
  if (as === 'wav') {
    const samples = await wholeAudio(artifact, { sampleRate, most: MOST_SECONDS * sampleRate }, context);
    return { bytes: Buffer.concat([...writeWav(toInt16(samples), { sampleRate })]), mime: 'audio/wav' };
  }
  if (!context.bytes) throw new MillraceError('INTERNAL', 'this host cannot read files');
  return { bytes: await context.bytes(artifact), mime: artifact.mime };
}
