import type { Artifact } from '../../pipelines/artifact.js';

/** Media types of texts: those that models and editors read as they are. */
const TEXT = /^(?:text\/|application\/(?:json|xml|yaml)$|application\/[^+]*\+(?:json|xml)$)/;

export const isText = ({ mime }: Pick<Artifact, 'mime'>): boolean => TEXT.test(mime);

/** An artifact as a resource of the protocol. */
type Contents = { uri: string; mimeType: string } & ({ text: string } | { blob: string });

/**
 * The contents of an artifact: a text where the type says so and the bytes are UTF-8 with few control characters, else base64. JSON
 * takes six bytes for a control character: a response of them would be far larger than what is counted for it.
 */
export function contentsOfArtifact({ uri, mime }: Pick<Artifact, 'uri' | 'mime'>, blob: string): Contents {
  const bytes = isText({ mime }) ? Buffer.from(blob, 'base64') : undefined;
  const text = bytes && hasFewControls(bytes) ? utf8(bytes) : undefined;
  return text === undefined ? { uri, mimeType: mime, blob } : { uri, mimeType: mime, text };
}

/** Bytes for each control character that is neither a tab nor the end of a line: coloured logs have fewer. */
const BYTES_FOR_CONTROL = 8;

function hasFewControls(bytes: Uint8Array): boolean {
  let controls = 0;
  for (const byte of bytes) if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) controls += 1;
  return controls * BYTES_FOR_CONTROL <= bytes.length;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
