import type { Artifact } from '../../pipelines/artifact.js';

/** What the writer knows of the media; it is kept with the bytes. */
export type ArtifactInfo = Pick<Artifact, 'mime' | 'durationMs' | 'sampleRate' | 'channels'>;

/** A part of an artifact's bytes, `end` inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Content-addressed store of media. Whose artifact is asked for is checked here, so that no caller can forget it: under the
 * name of one tenant another's address is `ARTIFACT_NOT_FOUND`, as if it did not exist.
 */
export interface ArtifactStore {
  /**
   * Streams bytes in; nothing is visible until all of them are stored and the inspector has agreed.
   */
  put(tenant: string, bytes: AsyncIterable<Uint8Array>, inspector: Inspector): Promise<Artifact>;
  /** The artifact at an address. Throws `ARTIFACT_NOT_FOUND`. */
  stat(tenant: string, uri: string): Promise<Artifact>;
  /** Streams bytes out, all or a range (`end` inclusive), checking a whole read against the sha256 (`ARTIFACT_CORRUPT`). */
  read(tenant: string, uri: string, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Throws `STORE_UNAVAILABLE` unless the store can be written. */
  check(): Promise<void>;
}

/** Looks at bytes as they pass into the store and says what they are. */
export interface Inspector {
  /** Called with every chunk, in order. Throws to refuse early. */
  push(chunk: Uint8Array): void;
  /** Called after the last chunk. Throws to refuse. */
  end(): ArtifactInfo;
}
