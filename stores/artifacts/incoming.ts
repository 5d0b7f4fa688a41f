import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { namesIn } from './names-in.js';

/** Folder of puts in progress, an invalid tenant name. On the store's own file system, so that a rename is atomic. */
export const INCOMING = '.incoming';

/** Longer than any upload timeout: a file of this age in `.incoming` belongs to a process that died. */
const STALE_MS = 24 * 3_600_000;

/** Removes what processes that died have left in a store's `.incoming`. */
export async function sweepIncoming(
  root: string,
  { dryRun }: { readonly dryRun?: boolean | undefined } = {},
): Promise<{ readonly files: number; readonly bytes: number }> {
  const before = Date.now() - STALE_MS;
  let files = 0;
  let bytes = 0;
  for (const name of await namesIn(path.join(root, INCOMING))) {
    const file = path.join(root, INCOMING, name);
    const found = await stat(file).catch(() => undefined); // another process may have removed it
    if (found === undefined || found.mtimeMs >= before) continue;
    files += 1;
    bytes += found.size;
    if (!dryRun) await rm(file, { force: true });
  }
  return { files, bytes };
}
