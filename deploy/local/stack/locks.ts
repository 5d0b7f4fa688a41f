import path from 'node:path';
import { runFolder } from './stack-state.js';

/** The lock of a home: two `up` at once would start everything twice. */
export const homeLock = (home: string): string => path.join(runFolder(home), 'lock.json');

/** The lock of a venv, which several homes may share. Beside the folder, because that is removed when it is made anew. */
export const venvLock = (folder: string): string => `${folder}.lock.json`;
