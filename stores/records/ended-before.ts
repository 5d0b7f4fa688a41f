import type { Redis } from 'ioredis';
import { type ErrorDetails, MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { resumedPath, resumedRun, resumedRuns, type StageCall, splitRun } from '../../pipelines/run/index.js';
import { changesElsewhere } from '../../pipelines/stages/index.js';
import { isInside, nameOf, pathOf, turnAfter } from './call-names.js';
import { type Entry, entryOf, outcomeIn } from './entry.js';
import type { CallAt } from './kept-value.js';
import { reached } from './reached.js';
import type { Before, KeptEnd } from './record.js';
import { FAILED, HELD, PATH, recordKey } from './record-hash.js';
import type { Spill } from './spill.js';

interface Stores {
  readonly redis: Redis;
  readonly spill?: Spill;
}

/** Most records that are read at once: each may answer with some entries of 16 KiB. */
const AT_ONCE = 8;

/** A call that a resumed run is about to make. */
interface AskedFor {
  readonly call: StageCall;
  /** Path of the child run that it is part of; empty if it is part of none. */
  readonly inside: string;
  readonly name: string;
  readonly path: string;
  readonly digest: string;
  readonly withinMs: number | undefined;
}

interface Found {
  /** Absent: the record does not say that the call has ended. */
  readonly end?: KeptEnd;
  /** Calls that the records of earlier runs lack may be made again. */
  readonly repeat: boolean;
}

/**
 * How a call ended in the runs that this one resumes, the latest first: what a run has not come to, or could not take over, is still as the run
 * before it has left it. Undefined if it did not end there, or the run is no resumption. Throws as `RunRecords.before` does.
 * @param withinMs as there
 */
export async function endedBefore(
  stores: Stores,
  run: string,
  call: StageCall,
  input: JsonObject,
  withinMs?: number,
): Promise<KeptEnd | undefined> {
  const { root, inside } = splitRun(run);
  if (resumedRun(root) === undefined) return undefined;
  const asked = { call, inside, name: nameOf(run, call), path: pathOf(run, call), digest: jsonHash(input), withinMs };
  let repeat = false;
  for (const runs of readTogether([...resumedRuns(root)])) {
    const records = runs.map((from) => ({ from, read: fieldsIn(stores.redis, from, asked) }));
    // One behind the record that has the call may fail.
    for (const { read } of records) read.catch(() => undefined);
    for (const { from, read } of records) {
      const found = await endIn(stores, from, await read, asked, repeat);
      if (found.end) return found.end;
      repeat = found.repeat;
    }
  }
  return undefined;
}

/** The latest run alone, which has most of the calls, and then those before it, some at once. */
function* readTogether(runs: readonly string[]): Generator<readonly string[], void> {
  yield runs.slice(0, 1);
  for (let i = 1; i < runs.length; i += AT_ONCE) yield runs.slice(i, i + AT_ONCE);
}

type Fields = readonly (string | null)[];

async function fieldsIn(redis: Redis, from: string, { name, path }: AskedFor): Promise<Fields> {
  const places = [`${FAILED}${name}`, `${PATH}${path}`, `${PATH}${turnAfter(path)}`].map(resumedPath);
  return await reached(() => redis.hmget(recordKey(from), HELD, name, ...places));
}

/** @param mayRepeat whether the resumption of a later run permits that calls which records lack are made again */
async function endIn(
  { redis, spill }: Stores,
  from: string,
  [held, own, failed, other, turn]: Fields,
  { call, inside, name, digest, withinMs }: AskedFor,
  mayRepeat: boolean,
): Promise<Found> {
  if (held == null) {
    if (mayRepeat) return { repeat: true };
    throw new MillraceError(
      'RECORD_GONE',
      `the record of the run "${from}" no longer exists: it is unknown which calls have ended`,
    );
  }
  const { ended, repeat: permitted } = JSON.parse(held) as Before;
  const repeat = mayRepeat || permitted;
  const endOf = async (entry: Entry, at: CallAt): Promise<Found> => ({
    end: { outcome: { ...(await outcomeIn(entry, call, at, spill, withinMs)), resumed: true } },
    repeat,
  });
  const succeeded = entryOf(own);
  if (succeeded?.digest === digest) return await endOf(succeeded, { root: from, call: name });
  const isOver = inside === '' ? ended.includes(call.stage) : isInside(inside, ended);
  const failure = entryOf(failed);
  // The run continued after the failure: with another candidate, the next turn, or without the stage.
  const wentOn = isOver || Boolean(other) || turn != null;
  if (succeeded === undefined && failure?.failure && failure.digest === digest && wentOn) {
    return { end: { failure: failure.failure }, repeat };
  }
  // With more time left another candidate would come first; the stage ended with the recorded one. And an item may have begun again elsewhere.
  const others = other && other !== name ? entryOf(await reached(() => redis.hget(recordKey(from), other))) : undefined;
  if (other && others?.digest === digest) return await endOf(others, { root: from, call: other });
  if ((succeeded || other) && changesElsewhere(call))
    throw diverged(call, 'has succeeded with another input', { differs: true });
  if (isOver && !repeat && !succeeded && !other) throw diverged(call, 'had ended without this call');
  return { repeat };
}

const diverged = ({ path, stage }: StageCall, how: string, more: ErrorDetails = {}): MillraceError =>
  new MillraceError('RESUME_DIVERGED', `stage "${path ?? stage}" ${how} in the previous run and must not be repeated`, {
    ...more,
    stage,
  });
