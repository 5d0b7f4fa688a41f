import type { Dirent } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { isTenant } from './tenant.js';

export interface PruneOptions {
  /** Artifacts last used before this time go, in milliseconds since 1970. */
  readonly before: number;
  /** Only this tenant's. Default: all tenants'. */
  readonly tenant?: string | undefined;
  /** Counts and removes nothing. */
  readonly dryRun?: boolean | undefined;
}

export interface Pruned {
  readonly files: number;
  readonly bytes: number;
}

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Removes the artifacts of a file store that were last used before a time. An artifact is used when it is stored, stored
 * again, or read as a whole; a read is noted once a day. The bytes go first: an artifact without them does not exist, whatever
 * its metadata says.
 */
export async function pruneArtifacts(root: string, { before, tenant, dryRun }: PruneOptions): Promise<Pruned> {
  let files = 0;
  let bytes = 0;
  for (const owner of await names(root, isTenant)) {
    if (tenant !== undefined && owner !== tenant) continue;
    for (const start of await names(path.join(root, owner), () => true)) {
      const folder = path.join(root, owner, start);
      for (const name of await names(folder, (each) => SHA256.test(each))) {
        const file = path.join(folder, name);
        const found = await stat(file).catch(() => undefined);
        if (found === undefined || found.mtimeMs >= before) continue;
        files += 1;
        bytes += found.size;
        if (dryRun) continue;
        await rm(file, { force: true });
        await rm(`${file}.json`, { force: true });
      }
    }
  }
  return { files, bytes };
}

async function names(folder: string, wanted: (name: string) => boolean): Promise<string[]> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.map(({ name }) => name).filter(wanted);
}
