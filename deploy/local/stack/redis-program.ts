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
 * now, the next one is taken that can read the data, which is told, and the data stays where it is: a stack that starts with
 * an empty folder has forgotten what it promised to keep. Throws `STACK_START_FAILED` where no server can read it.
 */
export async function chooseRedis(choice: RedisChoice): Promise<RedisProgram> {
  const { home, versionOf, onChange } = choice;
  const last = chosenRedis(home);
  const there = last && existsSync(last.server) ? await versionOf(last.server) : undefined;
  if (last && there === last.version) {
    return { ...last, why: `as the last time; to choose anew, move its data and ${recordPath(home)} away` };
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
        ? `${last.server} is gone`
        : `${last.server} was ${last.version} and is ${there}`;
    onChange(`${before}; Redis ${next.version} of ${next.server} goes on with it in ${path.join(home, 'redis', line)}`);
  }
  writeJson(recordPath(home), { server: next.server, version: next.version, line });
  return { ...next, line, why };
}

/** Where data is, and the release line that has written it last. */
interface Data {
  readonly line: string;
  readonly writtenBy: string;
}

/** The first server on PATH, or else the installed one, of those that can read the data. */
async function nextServer(
  { onPath, installed }: RedisChoice,
  data: Data | undefined,
): Promise<{ readonly next: FoundServer; readonly why: string }> {
  const reads = ({ version }: FoundServer) => data === undefined || notNewer(data.writtenBy, lineOf(version));
  const found = await onPath();
  if (found && reads(found)) return { next: found, why: 'the first on PATH that is new enough' };
  const own = await installed();
  if (data === undefined || reads(own)) {
    const why = found
      ? `the installed package: Redis ${found.version} on PATH is older than the data`
      : 'the installed package: none on PATH is new enough';
    return { next: own, why };
  }
  const others = [found, own].flatMap((server) => (server ? [server.version] : [])).join(' and ');
  const message = `the data was written by Redis ${data.writtenBy}, and there is only ${others}: install a newer one`;
  throw new MillraceError('STACK_START_FAILED', `${message}, or move the folders ${data.line} of the data away`);
}

/** The data of a stack from before its server was recorded: of the newest release line, which was used last. */
function unrecorded(lines: readonly string[], onChange: RedisChoice['onChange']): Data | undefined {
  const [line, ...others] = lines.toSorted((a, b) => (notNewer(a, b) ? 1 : -1));
  if (line === undefined) return undefined;
  if (others.length > 0) onChange(`there is data of Redis ${others.join(' and ')} as well, which stays unused`);
  return { line, writtenBy: line };
}

const linesOf = (home: string): readonly string[] => [
  ...new Set(REDIS_PARTS.flatMap((part) => folders(path.join(home, part)))),
];

const folders = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+\.\d+$/.test(name)) : [];

/** `8.2` of `8.2.3`: an older line refuses the files of a newer one. */
const lineOf = (version: string): string => version.split('.').slice(0, 2).join('.');

function notNewer(line: string, than: string): boolean {
  const [major = 0, minor = 0] = line.split('.').map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
  return major === thanMajor ? minor <= thanMinor : major < thanMajor;
}
