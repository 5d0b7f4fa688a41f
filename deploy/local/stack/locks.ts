import path from 'node:path';
import { runFolder } from './stack-state.js';

/** The lock of a home, so that concurrent `up` commands do not start everything twice. */
export const homeLock = (home: string): string => path.join(runFolder(home), 'lock.json');

/**
 * The lock of a venv, which several homes may share. Beside the folder, because the folder is removed when the venv is
 * recreated.
 */
export const venvLock = (folder: string): string => `${folder}.lock.json`;
