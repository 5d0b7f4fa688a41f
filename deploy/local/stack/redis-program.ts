import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { readJson, writeJson } from '../../../runtime/json-file.js';
import { REDIS_PARTS } from './part-spec.js';

/** A redis-server and its version. */
export interface FoundServer {
  readonly server: string;
  readonly version: string;
}

/** The server that the stack's Redis parts run, and the location of their data. */
export interface RedisProgram extends FoundServer {
  /** Name of the data folder within each part's folder: the release line of the server that created it. */
  readonly line: string;
  /** Why this server was chosen, for display. */
  readonly why: string;
}

export interface RedisChoice {
  readonly home: string;
  /** The first suitable server on PATH. */
  readonly onPath: () => Promise<FoundServer | undefined>;
  /** The server in the installed packages. */
  readonly installed: () => Promise<FoundServer>;
  /** The version of a program; undefined if it does not run. */
  readonly versionOf: (server: string) => Promise<string | undefined>;
  /** Receives a message if the server differs from the last one. */
  readonly onChange: (what: string) => void;
}

const recorded = z.object({ server: z.string(), version: z.string(), line: z.string() });

const recordPath = (home: string): string => path.join(home, 'redis', 'program.json');

/** The last choice; undefined before the first start. */
export function chosenRedis(home: string): z.output<typeof recorded> | undefined {
  const parsed = recorded.safeParse(readJson(recordPath(home)));
  return parsed.success ? parsed.data : undefined;
}

/**
 * Chooses the server used last, even if another one has appeared on PATH. If it is gone or has changed its version,
 * chooses the next one that can read the data, reports the change, and keeps the data in place: starting with an empty
 * folder would lose data. Throws `STACK_START_FAILED` if no server can read the data.
 */
export async function chooseRedis(choice: RedisChoice): Promise<RedisProgram> {
  const { home, versionOf, onChange } = choice;
  const last = chosenRedis(home);
  const there = last && existsSync(last.server) ? await versionOf(last.server) : undefined;
  if (last && there === last.version) {
    return { ...last, why: `same as the last time; to choose again, move its data and ${recordPath(home)} away` };
  }
  const lines = linesOf(home);
  const data =
    last && lines.includes(last.line)
      ? { line: last.line, writtenBy: lineOf(last.version) }
      : unrecorded(lines, onChange);
  const { next, why } = await nextServer(choice, data);
  const line = data?.line ?? lineOf(next.version);
  const same = last?.server === next.server && last.version === next.version;
  if (data && !same) {
    const before = !last
      ? `there is data of Redis ${data.line} from before`
      : there === undefined
        ? `${last.server} no longer exists`
        : `${last.server} changed from ${last.version} to ${there}`;
    onChange(`${before}; Redis ${next.version} of ${next.server} uses the data in ${path.join(home, 'redis', line)}`);
  }
  writeJson(recordPath(home), { server: next.server, version: next.version, line });
  return { ...next, line, why };
}

/** The release line in whose folder the data is, and the one that wrote it last. */
interface Data {
  readonly line: string;
  readonly writtenBy: string;
}

/** The first server on PATH, or else the installed one, that can read the data. */
async function nextServer(
  { onPath, installed }: RedisChoice,
  data: Data | undefined,
): Promise<{ readonly next: FoundServer; readonly why: string }> {
  const reads = ({ version }: FoundServer) => data === undefined || notNewer(data.writtenBy, lineOf(version));
  const found = await onPath();
  if (found && reads(found)) return { next: found, why: 'the first suitable one on PATH' };
  const own = await installed();
  if (data === undefined || reads(own)) {
    const why = found
      ? `the installed package: Redis ${found.version} on PATH is older than the data`
      : 'the installed package: no suitable one on PATH';
    return { next: own, why };
  }
  const others = [found, own].flatMap((server) => (server ? [server.version] : [])).join(' and ');
  const message = `the data was written by Redis ${data.writtenBy}, but only ${others} is available: install a newer one`;
  throw new MillraceError('STACK_START_FAILED', `${message}, or move the folders ${data.line} of the data away`);
}

/** Data of a stack from before its server was recorded: that of the newest release line, which was used last. */
function unrecorded(lines: readonly string[], onChange: RedisChoice['onChange']): Data | undefined {
  const [line, ...others] = lines.toSorted((a, b) => (notNewer(a, b) ? 1 : -1));
  if (line === undefined) return undefined;
  if (others.length > 0) onChange(`data of Redis ${others.join(' and ')} exists as well and is not used`);
  return { line, writtenBy: line };
}

const linesOf = (home: string): readonly string[] => [
  ...new Set(REDIS_PARTS.flatMap((part) => folders(path.join(home, part)))),
];

const folders = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+\.\d+$/.test(name)) : [];

/** `8.2` of `8.2.3`: an older release line cannot read the files of a newer one. */
const lineOf = (version: string): string => version.split('.').slice(0, 2).join('.');

function notNewer(line: string, than: string): boolean {
  const [major = 0, minor = 0] = line.split('.').map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
  return major === thanMajor ? minor <= thanMinor : major < thanMajor;
}
