import type { Artifact } from '../../pipelines/artifact.js';

/** Metadata that the writer supplies; stored with the bytes. */
export type ArtifactInfo = Pick<Artifact, 'mime' | 'durationMs' | 'sampleRate' | 'channels'>;

/** A part of an artifact's bytes, in bytes from 0: `end` is inclusive, and may be beyond the last byte. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Content-addressed store of media. Every method checks the tenant: another tenant's address is `ARTIFACT_NOT_FOUND`,
 * as if it did not exist.
 *
 * What cannot be read or written is a `MillraceError`: `STORE_UNAVAILABLE` or `STORE_FULL`, after which the stage's policy tries again. Any
 * other error is `INTERNAL`, after which none does.
 */
export interface ArtifactStore {
  /**
   * Streams bytes in; the artifact becomes visible after all bytes are stored and the inspector has accepted them. Passes each chunk to
   * `inspector.push`, and adds what `inspector.end` returns to the artifact. An error of `bytes` or of the inspector is rethrown as it is,
   * and nothing becomes visible.
   * @returns the artifact, whose `uri` is `artifact://<tenant>/<sha256>`
   */
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
