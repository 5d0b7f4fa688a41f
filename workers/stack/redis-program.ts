import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { REDIS_PARTS } from './part-spec.js';
import { readJson, writeJson } from './stack-state.js';

/** A redis-server and its version. */
export interface FoundServer {
  readonly server: string;
  readonly version: string;
}

/** The server that the stack's Redis parts run, and where their data is. */
export interface RedisProgram extends FoundServer {
  /** Name of the folder in each part's own that has its data: the release line of the server that made it. */
  readonly line: string;
  /** Why this one, for people. */
  readonly why: string;
}

export interface RedisChoice {
  readonly home: string;
  /** The first server on PATH that is new enough. */
  readonly onPath: () => Promise<FoundServer | undefined>;
  /** The one of the installed packages. */
  readonly installed: () => Promise<FoundServer>;
  /** The version of a program; undefined where it does not run. */
  readonly versionOf: (server: string) => Promise<string | undefined>;
  /** Told when it is another than the last time. */
  readonly onChange: (what: string) => void;
}

const recorded = z.object({ server: z.string(), version: z.string(), line: z.string() });

const recordPath = (home: string): string => path.join(home, 'redis', 'program.json');

/** What was chosen last; undefined before the first start. */
export function chosenRedis(home: string): z.output<typeof recorded> | undefined {
  const parsed = recorded.safeParse(readJson(recordPath(home)));
  return parsed.success ? parsed.data : undefined;
}

/**
 * The server that was used the last time, whatever has appeared on PATH since. Where it is gone, or is another version by
 * now, the next best is taken, which is told, and the data stays where it is: a stack that starts with an empty folder has
 * forgotten what it promised to keep.
 */
export async function chooseRedis({ home, onPath, installed, versionOf, onChange }: RedisChoice): Promise<RedisProgram> {
  const last = chosenRedis(home);
  const there = last && existsSync(last.server) ? await versionOf(last.server) : undefined;
  if (last && there === last.version) return { ...last, why: 'as the last time' };
  const found = await onPath();
  const next = found ?? (await installed());
  const why = found ? 'the first on PATH that is new enough' : 'none on PATH is new enough: the installed package';
  const line = last?.line ?? existingLine(home, next.version);
  if (last) {
    const before = there === undefined ? `${last.server} is gone` : `${last.server} was ${last.version} and is ${there}`;
    onChange(`${before}; Redis ${next.version} of ${next.server} goes on with the data in ${path.join(home, 'redis', line)}`);
  }
  writeJson(recordPath(home), { server: next.server, version: next.version, line });
  return { ...next, line, why };
}

/** The data of a stack from before its server was recorded; the newest release line that this version can read. */
function existingLine(home: string, version: string): string {
  const own = lineOf(version);
  const lines = REDIS_PARTS.flatMap((part) => folders(path.join(home, part))).filter((line) => older(line, own));
  return lines.includes(own) ? own : (lines.sort((a, b) => (older(a, b) ? 1 : -1))[0] ?? own);
}

const folders = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+\.\d+$/.test(name)) : [];

/** `8.2` of `8.2.3`: an older line refuses the files of a newer one. */
export const lineOf = (version: string): string => version.split('.').slice(0, 2).join('.');

/** Whether a line is not newer than another. */
function older(line: string, than: string): boolean {
  const [major = 0, minor = 0] = line.split('.').map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
  return major === thanMajor ? minor <= thanMinor : major < thanMajor;
}
