import type { Artifact } from '../../pipelines/artifact.js';

/** Media types of texts: those that models and editors read as they are. */
const TEXT = /^(?:text\/|application\/(?:json|xml|yaml)$|application\/[^+]*\+(?:json|xml)$)/;

export const isText = ({ mime }: Pick<Artifact, 'mime'>): boolean => TEXT.test(mime);

/** An artifact as a resource of the protocol. */
type Contents = { uri: string; mimeType: string } & ({ text: string } | { blob: string });

/** The contents of an artifact: a text where the type says so and the bytes are UTF-8, else base64. */
export function contentsOfArtifact({ uri, mime }: Pick<Artifact, 'uri' | 'mime'>, blob: string): Contents {
  const text = isText({ mime }) ? utf8(Buffer.from(blob, 'base64')) : undefined;
  return text === undefined ? { uri, mimeType: mime, blob } : { uri, mimeType: mime, text };
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
