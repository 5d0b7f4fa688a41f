import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import type { Inspector } from './store.js';

/**
 * Streams bytes into a new file and syncs it. Errors of `bytes` and of the inspector are rethrown as they are, file
 * system errors as `STORE_UNAVAILABLE`, a full disk as `STORE_FULL`; above `maxBytes` it throws `BODY_TOO_LARGE`.
 * `take` is called before each chunk is written and throws if there is no room for it. The caller removes the file.
 */
export async function receive(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  inspector: Inspector,
  { maxBytes, take }: { readonly maxBytes: number; take(bytes: number): Promise<void> },
): Promise<{ readonly sha256: string; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const handle = await onDisk(() => open(file, 'wx'));
  try {
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new MillraceError('BODY_TOO_LARGE', `the file exceeds the limit of ${maxBytes} bytes`);
      }
      await take(chunk.length);
      inspector.push(chunk);
      hash.update(chunk);
      await onDisk(() => writeAll(handle, chunk));
    }
    await onDisk(() => handle.sync());
  } finally {
    await handle.close();
  }
  return { sha256: hash.digest('hex'), size };
}

/** Moves a received file to its place, its metadata first, so that visible bytes always have metadata. */
export async function publish(temporary: string, target: string, sidecar: string): Promise<void> {
  const folder = path.dirname(target);
  const temporarySidecar = `${temporary}.json`;
  await onDisk(async () => {
    const handle = await open(temporarySidecar, 'wx');
    try {
      await handle.writeFile(sidecar);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renameInto(folder, temporarySidecar, `${target}.json`);
    await rename(temporary, target);
    await syncFolder(folder);
  });
}

/** The text of a file, or undefined if it does not exist. */
export async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw fileError('read', error);
  }
}

/**
 * `ARTIFACT_NOT_FOUND` for a missing file with an address, else `STORE_FULL` or `STORE_UNAVAILABLE`. The message
 * contains no path.
 */
export function fileError(doing: 'open' | 'read' | 'write', error: unknown, uri?: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const code = codeOf(error);
  if (uri !== undefined && (code === 'ENOENT' || code === 'ENOTDIR')) {
    return new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`, {}, { cause: error });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new MillraceError('STORE_FULL', `the disk of the artifact store is full (${code})`, {}, { cause: error });
  }
  const message = `cannot ${doing} the artifact store (${code ?? 'unknown error'})`;
  return new MillraceError('STORE_UNAVAILABLE', message, {}, { cause: error });
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;

async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError('write', error);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}

/** Moves a file into a folder, which is made if it does not exist: most of the 256 folders of a tenant do. */
async function renameInto(folder: string, from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    await mkdir(folder, { recursive: true });
    await rename(from, to);
  }
}

/** Syncs a folder, so that its entries are durable: syncing a file does not do that (fsync(2)). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
