import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { HeldResponse } from './response-memory.js';

/** Media up to this size are embedded, larger ones are linked: 20 s of speech at 24 kHz fit. */
const INLINE_BYTES = 1_048_576;
/** Limit of all embedded media of an output together: its receiver holds it in memory as one message. */
const INLINE_BYTES_IN_ALL = 4_194_304;

/** An artifact of an output. */
export interface OutputMedium {
  readonly artifact: Artifact;
  /** Path of its bytes on this gateway. */
  readonly href: string;
  /** Its place in the output: `speech`, `parts.0`. */
  readonly name: string;
}

/** The artifacts of an output, in its order. */
export function* mediaIn(value: Json, name = ''): Generator<OutputMedium> {
  if (!isJsonObject(value) && !Array.isArray(value)) return;
  if (isArtifact(value)) {
    yield { artifact: value, href: String((value as unknown as JsonObject).href), name };
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* mediaIn(inner, name === '' ? key : `${name}.${key}`);
}

/** Where the bytes of media are. */
interface StoredMedia {
  readonly artifacts: Pick<ArtifactStore, 'read'>;
  readonly tenant: string;
}

export interface MediaSource extends StoredMedia {
  /** Counts what is embedded. Absent: it is not counted. */
  readonly response?: HeldResponse | undefined;
}

/**
 * Embeds the media of one output: each call returns those of an artifact in base64, or undefined if it is to be linked. An output may
 * say of its media what it likes: no more bytes are read than it says, and those that are gone are linked, as are those for which
 * there is no memory now.
 */
export function embedding(source: MediaSource): (artifact: Artifact) => Promise<string | undefined> {
  let left = INLINE_BYTES_IN_ALL;
  return async (artifact) => {
    const { bytes } = artifact;
    if (!(bytes >= 0 && bytes <= Math.min(INLINE_BYTES, left))) return undefined;
    if (source.response?.takeBuffer(inBase64(bytes)) === false) return undefined;
    const data = await base64Of(source, artifact).catch(asGone);
    if (data !== undefined) left -= bytes;
    return data;
  };
}

/** The length of so many bytes in base64. */
export const inBase64 = (bytes: number): number => Math.ceil(bytes / 3) * 4;

/** The bytes of an artifact; undefined if it has more than it says. Throws `ARTIFACT_NOT_FOUND` and `ARTIFACT_CORRUPT`. */
export async function bytesOf({ artifacts, tenant }: StoredMedia, artifact: Artifact): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of artifacts.read(tenant, artifact.uri)) {
    size += chunk.length;
    if (size > artifact.bytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** As `bytesOf`, in base64. */
export const base64Of = async (source: StoredMedia, artifact: Artifact): Promise<string | undefined> =>
  (await bytesOf(source, artifact))?.toString('base64');

/** Media expire before the records of runs do. */
function asGone(error: unknown): undefined {
  if (error instanceof MillraceError && error.code === 'ARTIFACT_NOT_FOUND') return undefined;
  throw error;
}
