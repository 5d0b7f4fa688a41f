import { createHash, randomUUID } from 'node:crypto';
import { type Artifact, isArtifact, MillraceError } from '../../../pipelines/index.js';
import type { ArtifactStore, ByteRange } from '../../../workers/server.js';

/** What the store needs of an object storage. An object is there when all its bytes are. */
export interface Bucket {
  put(key: string, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** The bytes of an object, or of a range, whose `end` is inclusive; undefined if there is no such object. */
  get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>;
  move(from: string, to: string): Promise<void>;
  remove(key: string): Promise<void>;
}

/** Media in an object storage. */
export const bucketStore = (bucket: Bucket): ArtifactStore => ({
  async put(tenant, bytes, inspector) {
    const incoming = `.incoming/${randomUUID()}`;
    const hash = createHash('sha256');
    let size = 0;
    const thrown: unknown[] = [];
    async function* inspected() {
      try {
        for await (const chunk of bytes) {
          inspector.push(chunk);
          hash.update(chunk);
          size += chunk.length;
          yield chunk;
        }
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    }
    try {
      // What the bytes or the inspector throw goes to the caller as it is.
      await stored(bucket.put(incoming, inspected()), thrown);
      const sha256 = hash.digest('hex');
      const key = `${tenant}/${sha256}`;
      const artifact: Artifact = { uri: `artifact://${key}`, sha256, bytes: size, ...inspector.end() };
      // The metadata last: what has metadata has all its bytes.
      await stored(bucket.move(incoming, key));
      await stored(bucket.put(`${key}.json`, once(JSON.stringify(artifact))));
      return artifact;
    } finally {
      await bucket.remove(incoming).catch(() => undefined);
    }
  },

  async stat(tenant, uri) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of objectAt(bucket, `${keyOf(tenant, uri)}.json`, uri)) chunks.push(chunk);
    try {
      const artifact: unknown = JSON.parse(Buffer.concat(chunks).toString());
      if (isArtifact(artifact) && artifact.uri === uri) return artifact;
    } catch {
      // Reported below.
    }
    throw new MillraceError('ARTIFACT_CORRUPT', `the metadata of ${uri} are damaged`);
  },

  async *read(tenant, uri, range) {
    const hash = createHash('sha256');
    let held: Uint8Array | undefined;
    for await (const chunk of objectAt(bucket, keyOf(tenant, uri), uri, range)) {
      if (held !== undefined) yield held;
      hash.update(chunk);
      held = chunk;
    }
    // Before the last chunk, so that a reader who passes the bytes on can still abort.
    if (range === undefined && !uri.endsWith(hash.digest('hex'))) {
      throw new MillraceError('ARTIFACT_CORRUPT', `the bytes of ${uri} do not match its sha256`);
    }
    if (held !== undefined) yield held;
  },

  check: () => stored(bucket.put('.incoming/check', once('check'))),
});

/** The key of an address. All access by address goes through here, so that a tenant reads its own media only. */
function keyOf(tenant: string, uri: string): string {
  const [, of, sha256] = /^artifact:\/\/([^/]+)\/([0-9a-f]{64})$/.exec(uri) ?? [];
  if (of === tenant) return `${tenant}/${sha256}`;
  throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`);
}

async function* objectAt(
  bucket: Bucket,
  key: string,
  uri: string,
  range?: ByteRange,
): AsyncGenerator<Uint8Array, void> {
  try {
    const bytes = await bucket.get(key, range);
    if (bytes === undefined) throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`);
    yield* bytes;
  } catch (error) {
    throw unavailable(error);
  }
}

const stored = <T>(work: Promise<T>, thrown: readonly unknown[] = []): Promise<T> =>
  work.catch((error: unknown) => {
    throw thrown.length > 0 ? thrown[0] : unavailable(error);
  });

/** An error without a code would be `INTERNAL`, which no policy retries. */
const unavailable = (error: unknown): MillraceError =>
  error instanceof MillraceError
    ? error
    : new MillraceError('STORE_UNAVAILABLE', 'the bucket cannot be read or written', {}, { cause: error });

async function* once(text: string): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(text);
}
