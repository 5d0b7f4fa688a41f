import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';

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

export async function base64Of(
  { artifacts, tenant }: { readonly artifacts: ArtifactStore; readonly tenant: string },
  { uri }: Artifact,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifacts.read(tenant, uri)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('base64');
}
