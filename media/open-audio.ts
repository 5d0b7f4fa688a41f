import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { abortable } from './abortable.js';
import { encodingOf } from './encodings.js';
import { type DecodeOptions, decodeByFfmpeg } from './ffmpeg.js';
import { indexFirst } from './mp4-order.js';
import { invalidMedia } from './wav-format.js';

/** An artifact's audio as a WAV file: the artifact itself, or ffmpeg's output. */
export interface OpenAudio {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Absent if nothing was decoded. */
  readonly decoded?: string;
  /** Whose turn it is to have it decoded, and what ends the wait for it. */
  readonly tenant: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens audio of any supported encoding. The bytes throw `CONVERSION_UNAVAILABLE` if ffmpeg is needed and missing, and
 * the signal's reason.
 */
export function openAudio(
  store: ArtifactStore,
  tenant: string,
  { uri, mime, bytes }: Artifact,
  ffmpeg: DecodeOptions,
): OpenAudio {
  const encoding = encodingOf(mime);
  if (encoding === undefined) throw invalidMedia(`${uri} is ${mime}, which is not audio that Millrace reads`);
  const { signal } = ffmpeg;
  const caller = { tenant, signal };
  if (encoding === 'wav') return { bytes: abortable(store.read(tenant, uri), signal), ...caller };
  // Ranges are not verified against the sha256 as a complete read is; they are needed to locate the index.
  const file =
    encoding === 'mp4' ? indexFirst((range) => store.read(tenant, uri, range), bytes) : store.read(tenant, uri);
  return { bytes: decodeByFfmpeg(file, encoding, ffmpeg), decoded: encoding, ...caller };
}
