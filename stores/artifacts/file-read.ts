import { createHash } from 'node:crypto';
import { type FileHandle, open, utimes } from 'node:fs/promises';
import { MillraceError } from '../../pipelines/errors.js';
import { fileError } from './file-write.js';
import type { ByteRange } from './store.js';

const CHUNK_BYTES = 64 * 1024;

/**
 * Streams a file, all of it or a range (`end` inclusive, clipped to the file). A full read is checked against the
 * sha256 in the address *before* its last chunk is yielded, so that the consumer can still abort its own response.
 */
export async function* readBytes(file: string, uri: string, range?: ByteRange): AsyncGenerator<Uint8Array, void> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw fileError('read', error, uri);
  });
  const hash = range === undefined ? createHash('sha256') : undefined;
  if (range === undefined) await noteUse(handle);
  const stop = range === undefined ? Number.POSITIVE_INFINITY : range.end + 1;
  let at = range?.start ?? 0;
  let held: Uint8Array | undefined;
  try {
    while (at < stop) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, stop - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at).catch((error: unknown) => {
        throw fileError('read', error);
      });
      if (bytesRead === 0) break;
      if (held !== undefined) yield held;
      held = buffer.subarray(0, bytesRead);
      hash?.update(held);
      at += bytesRead;
    }
    if (hash !== undefined && !uri.endsWith(hash.digest('hex'))) {
      throw new MillraceError('ARTIFACT_CORRUPT', `the bytes of ${uri} do not match its sha256`);
    }
    if (held !== undefined) yield held;
  } finally {
    await handle.close();
  }
}

/** Shortest interval between two updates of an artifact's last use: a day. */
const USED_EVERY_MS = 24 * 3_600_000;

/**
 * Updates the file's modification time, by which pruning determines the last use. Failures are ignored: a read-only
 * store can still be read.
 */
async function noteUse(handle: FileHandle): Promise<void> {
  try {
    const { mtimeMs } = await handle.stat();
    if (isDue(mtimeMs)) await handle.utimes(Date.now() / 1_000, Date.now() / 1_000);
  } catch {
    // The artifact may be pruned too early; the read itself succeeds.
  }
}

/** The same for an artifact that is looked up: a run that is given it, or an answer of a cache that names it, will read it. */
export async function noteLookedUp(file: string, mtimeMs: number): Promise<void> {
  if (isDue(mtimeMs)) await utimes(file, Date.now() / 1_000, Date.now() / 1_000).catch(() => undefined);
}

const isDue = (mtimeMs: number): boolean => Date.now() - mtimeMs > USED_EVERY_MS;
