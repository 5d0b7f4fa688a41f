import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { INCOMING, sweepIncoming } from './incoming.js';
import { namesIn } from './names-in.js';
import { isTenant } from './tenant.js';

export interface PruneOptions {
  /** Removes artifacts last used before this time, in milliseconds since 1970. */
  readonly before: number;
  /** Removes only this tenant's artifacts. Default: those of all tenants. */
  readonly tenant?: string | undefined;
  /** Counts only; removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface Pruned {
  readonly files: number;
  readonly bytes: number;
}

const SHA256 = /^[0-9a-f]{64}$/;

/** A put moves its metadata into place, then its bytes: newer metadata may belong to bytes that are about to come. In milliseconds. */
const PUT_MS = 300_000;

/**
 * Removes the artifacts of a file store that were last used before a time. Storing an artifact, storing it again, looking it up and
 * reading all of it count as use; the last two are recorded at most once a day. The bytes are removed first: without them an
 * artifact does not exist, even if its metadata does. Of all tenants, it removes what puts of processes that died have left, too.
 */
export async function pruneArtifacts(root: string, { before, tenant, dryRun }: PruneOptions): Promise<Pruned> {
  let { files, bytes } = tenant === undefined ? await sweepIncoming(root, { dryRun }) : { files: 0, bytes: 0 };
  for (const owner of await names(root, isTenant)) {
    if (tenant !== undefined && owner !== tenant) continue;
    for (const start of await names(path.join(root, owner), () => true)) {
      const folder = path.join(root, owner, start);
      for (const name of await names(folder, (each) => SHA256.test(each))) {
        const file = path.join(folder, name);
        const found = await stat(file).catch(() => undefined);
        if (found === undefined || found.mtimeMs >= before) continue;
        if (!dryRun && !(await removeOld(root, file, before))) continue;
        files += 1;
        bytes += found.size;
        if (!dryRun) await removeOld(root, `${file}.json`, Math.max(before, Date.now() - PUT_MS));
      }
    }
  }
  return { files, bytes };
}

/**
 * Removes a file that was last used before a time, by its modification time. It is moved away first and looked at there: a put may have stored it
 * again since it was found, and a look-up may have noted a use. It is then moved back; nobody finds it in between.
 * Returns whether it was removed.
 */
async function removeOld(root: string, file: string, before: number): Promise<boolean> {
  const incoming = path.join(root, INCOMING);
  const aside = path.join(incoming, randomUUID());
  await mkdir(incoming, { recursive: true });
  try {
    await rename(file, aside);
  } catch (error) {
    // Another process has removed it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  const found = await stat(aside).catch(() => undefined);
  if (found !== undefined && found.mtimeMs >= before) {
    await rename(aside, file);
    return false;
  }
  await rm(aside, { force: true });
  return true;
}

/** Throws `STORE_UNAVAILABLE` for a folder that this user may not read: nothing in it would be removed. */
const names = async (folder: string, wanted: (name: string) => boolean): Promise<string[]> =>
  (await namesIn(folder)).filter(wanted);
