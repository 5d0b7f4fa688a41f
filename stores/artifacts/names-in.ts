import { readdir } from 'node:fs/promises';
import { fileError } from './file-write.js';

/** The names in a folder, none if there is no such folder. Throws `STORE_UNAVAILABLE` for one that this user may not read. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))) return [];
    throw fileError('read', error);
  }
}
