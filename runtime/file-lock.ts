import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readJson, writeJson } from './json-file.js';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';

const POLL_MS = 100;

const owner = z.object({ pid: z.number(), startTicks: z.number(), program: z.string(), command: z.string() });

/**
 * Runs `work` while no other process of this machine does so under this lock file. The lock of a dead process is taken
 * over.
 */
export async function withLock<T>(file: string, onWait: (pid: number) => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  let reported = false;
  while (!tryLock(file)) {
    const holder = readOwner(file);
    if (holder && isAlive(holder)) {
      if (!reported) onWait(holder.pid);
      reported = true;
      await sleep(POLL_MS);
    } else {
      takeAside(file, holder);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The owner is written to a temporary file that is then linked into place, so that a lock always has an owner. */
function tryLock(file: string): boolean {
  const draft = `${file}.${process.pid}`;
  writeJson(draft, identify(process.pid));
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function readOwner(file: string): ProcessIdentity | undefined {
  const parsed = owner.safeParse(readJson(file));
  return parsed.success ? parsed.data : undefined;
}

/**
 * Removes a lock whose owner is dead. If another process has replaced it with a live one in the meantime, puts that
 * back.
 */
function takeAside(file: string, dead: ProcessIdentity | undefined): void {
  const aside = `${file}.dead.${process.pid}`;
  try {
    renameSync(file, aside);
    if (readOwner(aside)?.pid !== dead?.pid) linkSync(aside, file);
  } catch {
    // Another process has removed it.
  } finally {
    rmSync(aside, { force: true });
  }
}
