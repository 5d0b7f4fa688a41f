import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { MillraceError } from '../pipelines/errors.js';

/** The parsed file; undefined if it is missing or not JSON. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Leaves a user or a group as it is (chown(2)). */
const UNCHANGED = -1;

/**
 * Replaces the file atomically: writes a draft beside it and renames it. A new file is for its owner alone; an existing one keeps its
 * owner and mode, so that a process of another user reads the new content too, and a link goes on leading to it. Throws
 * `INVALID_SETTING`, and changes nothing, if those who could read the file could not read the new one.
 */
export function writeJson(file: string, value: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const target = resolved(file);
  const before = statSync(target, { throwIfNoEntry: false });
  // Not by the number of the process: in two containers that share the folder, both may have the number 1.
  const draft = `${target}.${randomUUID()}.tmp`;
  try {
    // On the disk before it takes the place of the file, which would be empty after a loss of power.
    writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true });
    if (before) keepAccess(draft, before, file);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function resolved(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

/** Only root gives a file to another user; its owner can give it to a group of its own. A draft may have both already. */
function keepAccess(draft: string, { mode, uid, gid }: Stats, file: string): void {
  if (!isGiven(draft, uid, gid)) isGiven(draft, UNCHANGED, gid);
  const now = statSync(draft);
  const [ownerKept, groupKept] = [now.uid === uid, now.gid === gid];
  const allRead = (mode & 0o004) !== 0;
  const groupReads = (mode & 0o040) !== 0;
  const ownerReads = ownerKept || allRead || (groupKept && groupReads);
  if (!ownerReads || (groupReads && !groupKept && !allRead)) {
    const message = `${file} belongs to another user or group, who could not read it any more: run this as its owner or as root`;
    throw new MillraceError('INVALID_SETTING', message);
  }
  // A group that the file did not have gets no more than everybody.
  chmodSync(draft, groupKept ? mode & 0o777 : (mode & 0o707) | ((mode & 0o007) << 3));
}

function isGiven(file: string, uid: number, gid: number): boolean {
  try {
    chownSync(file, uid, gid);
    return true;
  } catch {
    return false;
  }
}
