import type { Artifact } from '../../pipelines/artifact.js';

/** Metadata that the writer supplies; stored with the bytes. */
export type ArtifactInfo = Pick<Artifact, 'mime' | 'durationMs' | 'sampleRate' | 'channels'>;

/** A part of an artifact's bytes, `end` inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Content-addressed store of media. Every method checks the tenant: another tenant's address is `ARTIFACT_NOT_FOUND`,
 * as if it did not exist.
 */
export interface ArtifactStore {
  /** Streams bytes in; the artifact becomes visible after all bytes are stored and the inspector has accepted them. */
  put(tenant: string, bytes: AsyncIterable<Uint8Array>, inspector: Inspector): Promise<Artifact>;
  /** The metadata of an artifact, which counts as a use of it. Throws `ARTIFACT_NOT_FOUND`. */
  stat(tenant: string, uri: string): Promise<Artifact>;
  /**
   * Streams bytes out, all or a range (`end` inclusive). A full read is checked against the sha256
   * (`ARTIFACT_CORRUPT`).
   */
  read(tenant: string, uri: string, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Throws `STORE_UNAVAILABLE` unless the store is writable. */
  check(): Promise<void>;
}

/** Inspects bytes while they are stored and derives their metadata. */
export interface Inspector {
  /** Called with each chunk, in order. Throws to reject early. */
  push(chunk: Uint8Array): void;
  /** Called after the last chunk. Throws to reject. */
  end(): ArtifactInfo;
}
