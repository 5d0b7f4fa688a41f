import type { Redis } from 'ioredis';
import { isErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { resumedRun, type StageCall, type StageOutcome, servedBy, splitRun } from '../../pipelines/run/index.js';
import { changesElsewhere } from '../../pipelines/stages/index.js';
import { ERASED_MS, isGone, NOW, script } from '../redis/index.js';
import type { Before, EndedCall, Failure, KeptEnd, RecordSummary, ResumableRecords, RunRecords } from './record.js';
import type { Spill } from './spill.js';

export interface RedisRecordsParts {
  readonly redis: Redis;
  /** Stores values that are too large for Redis. Absent: such a value is a gap. */
  readonly spill?: Spill;
  /** How long a record is kept after the end of its run, in milliseconds. */
  readonly keptMs: number;
  /** Whether the store has room for records: they are dropped before runs are rejected. */
  readonly room?: () => boolean;
  /** Called for each call that is not recorded. */
  readonly onGap?: (error: unknown) => void;
}

/** Larger values, in bytes of JSON, go to the artifact store. */
const INLINE_BYTES = 16_384;
/** Limit of one run: a loop over some thousand items, with two fields each. */
const MOST_FIELDS = 10_000;
const MOST_BYTES = 8 * 2 ** 20;

/** How far the clocks of a worker and of Temporal may differ, in milliseconds. */
const CLOCKS_MS = 60_000;

/** A call's entry as stored in Redis. */
interface Entry {
  readonly path: string;
  readonly stage: string;
  readonly kind: string;
  readonly model: string;
  /** Version of a `code` stage's function, if it has one. */
  readonly codeVersion?: string;
  /** The plan's version. */
  readonly version: string;
  readonly attempt: number;
  readonly digest: string;
  readonly input?: Value;
  readonly output?: Value;
  readonly served?: Omit<StageOutcome, 'output'>;
  readonly failure?: Failure;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** A value, inline or by its address in the artifact store. */
type Value = { readonly json: Json } | { readonly uri: string };

/**
 * Runs whose gaps wait for the state store to answer again; beyond that the oldest are dropped, whose runs ended long
 * ago.
 */
const MOST_GAPS = 10_000;
/** Of these, as many as are written at once. */
const GAPS_AT_ONCE = 100;

/** Calls of a run that could not be recorded. */
interface Gaps {
  readonly count: number;
  /** When the latest of them began, on the clock of `performance.now()`. */
  readonly begunAt: number;
  /** How long their number is kept, in milliseconds. */
  readonly keptMs: number;
}

/**
 * Records in Redis: a hash for each run, its child runs included, with a field for each call. A success is never
 * replaced by the failure of a later attempt: its worker may have died before it reported the success. Nor by the success of an earlier
 * attempt, of a worker that had stood still: the run has gone on with the other one. A call that began after that one had ended is made again by
 * a run that was reset in Temporal: it takes its place.
 */
export class RedisRecords implements RunRecords, ResumableRecords {
  readonly #parts: RedisRecordsParts;
  /** Calls that could not be recorded, until their number can be. */
  readonly #gaps = new Map<string, Gaps>();

  constructor(parts: RedisRecordsParts) {
    this.#parts = parts;
  }

  get keptMs(): number {
    return this.#parts.keptMs;
  }

  async keep(ended: EndedCall): Promise<void> {
    const { redis, keptMs, room = () => true, onGap = () => undefined } = this.#parts;
    const { run, call } = ended;
    if (call.record === 'off') return;
    const { root } = splitRun(run);
    const ofRun = keptMs + (call.runMs ?? 0);
    // Storing large values first takes its time.
    const begunAt = performance.now() - Math.max(0, ended.endedAt - ended.startedAt);
    let entry: Entry;
    try {
      if (!room()) throw new MillraceError('STATE_STORE_FULL', 'the state store has no room for records');
      entry = await this.#entryOf(ended);
    } catch (error) {
      onGap(error);
      // Their number needs little room. Without it a resumed run would make these calls again without a word.
      return await this.#count(root, { count: 1, keptMs: ofRun, begunAt });
    }
    const gaps = this.#taken(root);
    try {
      const name = nameOf(run, call);
      const [field, succeeded] = entry.failure ? [`${FAILED}${name}`, ''] : [name, name];
      const path = `${PATH}${pathOf(run, call)}`;
      const values = [field, JSON.stringify(entry), path, succeeded, ofRun] as const;
      const ageMs = performance.now() - begunAt;
      const kept = await keep(redis, [recordKey(root)], ...values, gaps, MOST_FIELDS, MOST_BYTES, ageMs);
      if (kept !== 1) onGap(new MillraceError('RESULT_TOO_LARGE', 'the record of the run has reached its size limit'));
    } catch (error) {
      this.#remember(root, { count: gaps + 1, keptMs: ofRun, begunAt });
      return onGap(error);
    }
    this.#countOthers();
  }

  /** The calls of a run that wait to be counted; the caller counts them. */
  #taken(root: string): number {
    const gaps = this.#gaps.get(root)?.count ?? 0;
    this.#gaps.delete(root);
    return gaps;
  }

  /** Counts calls that could not be recorded, now or when the store answers again. Never rejects. */
  async #count(root: string, { count, keptMs, begunAt }: Gaps): Promise<void> {
    const all = count + this.#taken(root);
    const ageMs = performance.now() - begunAt;
    await addGaps(this.#parts.redis, [recordKey(root)], all, keptMs, ageMs).catch(() =>
      this.#remember(root, { count: all, keptMs, begunAt }),
    );
  }

  /** The store answers: what other runs lack can be counted too. Not awaited. */
  #countOthers(): void {
    for (const [root, gaps] of [...this.#gaps].slice(0, GAPS_AT_ONCE)) {
      this.#gaps.delete(root);
      void this.#count(root, gaps);
    }
  }

  #remember(root: string, { count, keptMs, begunAt }: Gaps): void {
    this.#gaps.set(root, { count: (this.#gaps.get(root)?.count ?? 0) + count, keptMs, begunAt });
    keepNewest(this.#gaps, MOST_GAPS);
  }

  async before(run: string, call: StageCall, input: JsonObject): Promise<KeptEnd | undefined> {
    const { root, inside } = splitRun(run);
    const from = resumedRun(root);
    if (from === undefined) return undefined;
    const key = recordKey(from);
    const before = inside === '' ? from : `${from}/${inside}`;
    const name = nameOf(before, call);
    const path = pathOf(before, call);
    const fields = [HELD, name, `${FAILED}${name}`, `${PATH}${path}`, `${PATH}${turnAfter(path)}`];
    const [held, own, failed, other, turn] = await reached(() => this.#parts.redis.hmget(key, ...fields));
    if (held == null) {
      throw new MillraceError(
        'RECORD_GONE',
        `the record of the run "${from}" no longer exists: it is unknown which calls have ended`,
      );
    }
    const digest = jsonHash(input);
    const succeeded = entryOf(own);
    if (succeeded?.digest === digest) return await this.#keptIn(succeeded, call);
    const { ended, repeat } = JSON.parse(held) as Before;
    const isOver = inside === '' ? ended.includes(call.stage) : isInside(inside, ended);
    const failure = entryOf(failed);
    // The run continued after the failure: with another candidate, the next turn, or without the stage.
    const wentOn = isOver || Boolean(other) || turn != null;
    if (succeeded === undefined && failure?.failure && failure.digest === digest && wentOn) {
      return { failure: failure.failure };
    }
    // With more time left another candidate would come first; the stage ended with the recorded one.
    const others =
      succeeded === undefined && other ? entryOf(await reached(() => this.#parts.redis.hget(key, other))) : undefined;
    if (others?.digest === digest) return await this.#keptIn(others, call);
    if ((succeeded || other) && changesElsewhere(call)) throw diverged(call, 'has succeeded with another input');
    if (isOver && !repeat && !succeeded && !other) throw diverged(call, 'had ended without this call');
    return undefined;
  }

  async earlier(run: string, call: StageCall, input: JsonObject, since: number): Promise<StageOutcome | undefined> {
    if (call.record === 'off') return undefined;
    const key = recordKey(splitRun(run).root);
    const entry = entryOf(await reached(() => this.#parts.redis.hget(key, nameOf(run, call))));
    if (entry?.digest !== jsonHash(input) || entry.endedAt < since - CLOCKS_MS) return undefined;
    try {
      return await this.#outcomeIn(entry, call);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'STORE_UNAVAILABLE') throw error;
      return undefined;
    }
  }

  async #keptIn(entry: Entry, call: StageCall): Promise<KeptEnd | undefined> {
    const outcome = await this.#outcomeIn(entry, call);
    return outcome && { outcome: { ...outcome, resumed: true } };
  }

  async #outcomeIn({ served, output }: Entry, { tenant }: StageCall): Promise<StageOutcome | undefined> {
    if (!served || output === undefined) return undefined;
    return { ...served, output: (await this.#valueOf(output, tenant)) as JsonObject };
  }

  async summary(run: string): Promise<RecordSummary> {
    const all = await reached(() => this.#parts.redis.hgetall(recordKey(run)));
    const succeeded = new Map<string, number>();
    for (const [field, text] of Object.entries(all)) {
      if (/^[@!=]/.test(field)) continue;
      const { stage, path } = JSON.parse(text) as Entry;
      // Calls of child runs are stored under the path of the child.
      if (path.startsWith(CHILD)) continue;
      succeeded.set(stage, (succeeded.get(stage) ?? 0) + 1);
    }
    const absent = Object.keys(all).every((field) => field === ERASED);
    return { succeeded, gaps: Number(all[GAPS] ?? 0), ...(absent && { absent }) };
  }

  async erase(run: string): Promise<void> {
    await reached(() => erase(this.#parts.redis, [recordKey(splitRun(run).root)], ERASED_MS));
  }

  async hold(run: string, before: Before, leastMs: number): Promise<void> {
    const { redis, keptMs } = this.#parts;
    await reached(() => hold(redis, [recordKey(run)], JSON.stringify(before), Math.max(keptMs, leastMs)));
  }

  async #entryOf({ run, call, input, attempt, startedAt, endedAt, result }: EndedCall): Promise<Entry> {
    const full = call.record !== 'outputs';
    const base = {
      path: pathOf(run, call),
      stage: call.stage,
      kind: call.kind,
      model: call.model,
      ...(call.codeVersion !== undefined && { codeVersion: call.codeVersion }),
      version: call.version,
      attempt,
      digest: jsonHash(input),
      startedAt,
      endedAt,
      ...(full && { input: await this.#kept(input, call.tenant) }),
    };
    if ('failure' in result) return { ...base, failure: result.failure };
    const { output, ...served } = result.outcome;
    return { ...base, output: await this.#kept(output, call.tenant), served };
  }

  async #kept(value: Json, tenant: string): Promise<Value> {
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) <= INLINE_BYTES) return { json: value };
    const { spill } = this.#parts;
    if (!spill) throw new MillraceError('RESULT_TOO_LARGE', 'a value is too large for the record');
    return { uri: await spill.put(tenant, text) };
  }

  async #valueOf(value: Value, tenant: string): Promise<Json> {
    if ('json' in value) return value.json;
    const { spill } = this.#parts;
    try {
      if (spill) return JSON.parse(await spill.get(tenant, value.uri)) as Json;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'ARTIFACT_NOT_FOUND') throw error;
    }
    throw new MillraceError('RECORD_GONE', `a value of the record, ${value.uri}, no longer exists`);
  }
}

const entryOf = (text: string | null | undefined): Entry | undefined =>
  text == null ? undefined : (JSON.parse(text) as Entry);

const diverged = ({ path, stage }: StageCall, how: string): MillraceError =>
  new MillraceError('RESUME_DIVERGED', `stage "${path ?? stage}" ${how} in the previous run and must not be repeated`, {
    stage,
  });

export const recordKey = (root: string): string => `millrace:record:{${root}}`;

/** Prefix of the paths of child runs' calls. */
const CHILD = '/';

function pathOf(run: string, { path, stage }: StageCall): string {
  const { inside } = splitRun(run);
  return inside === '' ? (path ?? stage) : `${CHILD}${inside}/${path ?? stage}`;
}

/**
 * Whether a child run belongs to one of these stages: its path starts with the stage's id, after enclosing items and
 * rounds.
 */
function isInside(path: string, stages: readonly string[]): boolean {
  const starts = [0, ...[...path.matchAll(/\]\//g)].map(({ index }) => index + 2)];
  return starts.some((start) => {
    const names = path.slice(start).split('/');
    return names.some((_, i) =>
      stages.includes(
        names
          .slice(0, i + 1)
          .join('/')
          .replace(/~\d+$/, ''),
      ),
    );
  });
}

/** Field of a call within its run: its path and what serves it. */
const nameOf = (run: string, call: StageCall): string =>
  `${pathOf(run, call)} ${jsonHash(servedBy(call)).slice(0, 16)}`;

/** For a tool's call: the path of the next turn's call. If that exists, the model has received how this call ended. */
function turnAfter(path: string): string {
  const [, agent, turn] = /^(.*\/turn-)(\d+)\/[^/]+$/.exec(path) ?? [];
  return agent === undefined ? '' : `${agent}${Number(turn) + 1}`;
}

/**
 * Other fields: the mark of a resumption, gaps and bytes; when the record was erased, by the store's clock; failures; the call that has
 * succeeded at a path, empty if none has.
 */
const ERASED = '@erased';
const HELD = '@held';
const GAPS = '@gaps';
const BYTES = '@bytes';
const FAILED = '!';
const PATH = '=';

/** Lua: ends if the record was erased since so many milliseconds ago: what began before is not recorded, and is no gap. */
const unlessErased = (ageMs: string, end: string): string => `local erased = redis.call('hget', KEYS[1], '${ERASED}')
if erased then
  ${NOW}
  if now - tonumber(${ageMs}) <= tonumber(erased) then ${end} end
end`;

/**
 * Returns 1 if the call is recorded, 0 if the record has reached its limit. A call of a run that was erased while it ran is not recorded, and
 * is no gap; another run may have its id since.
 */
const keep = script<
  [record: string],
  [
    field: string,
    text: string,
    path: string,
    succeeded: string,
    keptMs: number,
    gaps: number,
    mostFields: number,
    mostBytes: number,
    ageMs: number,
  ],
  0 | 1
>(`
${unlessErased('ARGV[9]', 'return 1')}
local function attemptOf(entry) return string.match(entry, '"attempt":(%d+),"digest":"([^"]+)"') end
local function timesOf(entry) return string.match(entry, '"digest":"[^"]+","startedAt":(%d+),"endedAt":(%d+)') end
local field, text, path, succeeded = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local gaps, size = tonumber(ARGV[6]), string.len(ARGV[2])
local full = redis.call('hlen', KEYS[1]) >= tonumber(ARGV[7])
  or tonumber(redis.call('hget', KEYS[1], '${BYTES}') or '0') + size > tonumber(ARGV[8])
if full then gaps = gaps + 1 end
if gaps > 0 then redis.call('hincrby', KEYS[1], '${GAPS}', gaps) end
if not full then
  local known = succeeded ~= '' and redis.call('hget', KEYS[1], field)
  local late = false
  if known then
    local attempt, digest = attemptOf(known)
    local own, ownDigest = attemptOf(text)
    late = digest == ownDigest and tonumber(attempt) > tonumber(own)
    local _, ended = timesOf(known)
    local started = timesOf(text)
    if ended and started and tonumber(started) > tonumber(ended) + ${CLOCKS_MS} then late = false end
  end
  if not late then
    if redis.call('hset', KEYS[1], field, text) == 1 then redis.call('hincrby', KEYS[1], '${BYTES}', size) end
    redis.call(succeeded == '' and 'hsetnx' or 'hset', KEYS[1], path, succeeded)
  end
end
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[5]) then redis.call('pexpire', KEYS[1], ARGV[5]) end
return full and 0 or 1`);

const erase = script<[record: string], [erasedMs: number], void>(`
${NOW}
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], '${ERASED}', now)
redis.call('pexpire', KEYS[1], ARGV[1])`);

/** Adds calls that could not be recorded to their number. */
const addGaps = script<[record: string], [count: number, keptMs: number, ageMs: number], void>(`
${unlessErased('ARGV[3]', 'return')}
redis.call('hincrby', KEYS[1], '${GAPS}', ARGV[1])
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[2]) end`);

const hold = script<[record: string], [before: string, keptMs: number], void>(`
redis.call('hset', KEYS[1], '${HELD}', ARGV[1])
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[2]) end`);

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = `the record of the run is unavailable: ${messageOf(error)}`;
    throw new MillraceError('STORE_UNAVAILABLE', message, isGone(error) ? { unreached: true } : {}, { cause: error });
  }
}

/** A recorded failure as an error, final: another attempt would not change it. */
export const asThrown = ({ code, message }: Failure): MillraceError =>
  new MillraceError(isErrorCode(code) ? code : 'INTERNAL', message, { final: true });
