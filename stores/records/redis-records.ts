import type { Redis } from 'ioredis';
import { isErrorCode, MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import {
  resumedPath,
  resumedRun,
  resumedRuns,
  type StageCall,
  type StageOutcome,
  splitRun,
} from '../../pipelines/run/index.js';
import { ageOf, momentAgo } from '../../runtime/moment.js';
import { ERASED_MS } from '../redis/index.js';
import { CHILD, nameOf, pathOf, turnCallOf } from './call-names.js';
import { endedBefore } from './ended-before.js';
import { type Entry, entryOf, isStored, outcomeIn } from './entry.js';
import { UncountedGaps } from './gaps.js';
import { inlineValue, keptValue, outputName } from './kept-value.js';
import { LimitedWrites } from './limited-writes.js';
import { reached } from './reached.js';
import type { Before, EndedCall, Failure, KeptEnd, RecordSummary, ResumableRecords, RunRecords } from './record.js';
import {
  CLOCKS_MS,
  ERASED,
  erase,
  erasedSince,
  FAILED,
  FORGOTTEN,
  forget,
  GAPS,
  hold,
  keep,
  keepOn,
  PATH,
  recordKey,
} from './record-hash.js';
import type { Spill } from './spill.js';

export interface RedisRecordsParts {
  readonly redis: Redis;
  /** Stores outputs that are too large for Redis. Absent: a call with such an output is a gap. */
  readonly spill?: Spill;
  /** How long a record is kept after the end of its run, in milliseconds. */
  readonly keptMs: number;
  /** Whether the store has room for records: they are dropped before runs are rejected. */
  readonly room?: () => boolean;
  /** Called for each call that is not recorded. */
  readonly onGap?: (error: unknown) => void;
}

/** Limit of one run: a loop over some thousand items, with two fields each. */
const MOST_FIELDS = 10_000;
const MOST_BYTES = 8 * 2 ** 20;

/** The share of what an attempt has left in which its output is stored: the rest is for the record itself and the report. */
const STORING_SHARE = 0.5;

/**
 * Records in Redis: a hash for each run, its child runs included, with a field for each call. A success is never
 * replaced by the failure of a later attempt: its worker may have died before it reported the success. Nor by the success of an earlier
 * attempt, of a worker that had stood still: the run has gone on with the other one. A call that began after that one had ended is made again by
 * a run that was reset in Temporal: it takes its place.
 */
export class RedisRecords implements RunRecords, ResumableRecords {
  readonly #parts: RedisRecordsParts;
  /** Calls that could not be recorded, until their number can be. */
  readonly #gaps: UncountedGaps;
  readonly #writes: LimitedWrites | undefined;

  constructor(parts: RedisRecordsParts) {
    this.#parts = parts;
    this.#writes = parts.spill && new LimitedWrites(parts.spill);
    this.#gaps = new UncountedGaps(parts.redis);
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
    const { begunAt = momentAgo(Math.max(0, ended.endedAt - ended.startedAt)) } = ended;
    let entry: Entry;
    try {
      if (!room()) throw new MillraceError('STATE_STORE_FULL', 'the state store has no room for records');
      entry = await this.#entryOf(ended);
    } catch (error) {
      onGap(error);
      // Their number needs little room. Without it a resumed run would make these calls again without a word.
      return await this.#gaps.count(root, { count: 1, keptMs: ofRun, begunAt });
    }
    const gaps = this.#gaps.taken(root);
    try {
      const name = nameOf(run, call);
      const [field, succeeded] = entry.failure ? [resumedPath(`${FAILED}${name}`), ''] : [name, name];
      const path = resumedPath(`${PATH}${pathOf(run, call)}`);
      const values = [field, JSON.stringify(entry), path, succeeded, ofRun] as const;
      const ageMs = ageOf(begunAt);
      const kept = await keep(redis, [recordKey(root)], ...values, gaps, MOST_FIELDS, MOST_BYTES, ageMs);
      if (kept !== 1) onGap(new MillraceError('RESULT_TOO_LARGE', 'the record of the run has reached its size limit'));
    } catch (error) {
      this.#gaps.remember(root, { count: gaps + 1, keptMs: ofRun, begunAt });
      return onGap(error);
    }
    this.#gaps.countOthers();
  }

  async before(run: string, call: StageCall, input: JsonObject, withinMs?: number): Promise<KeptEnd | undefined> {
    return await endedBefore(this.#parts, run, call, input, withinMs);
  }

  async earlier<T = never>(
    run: string,
    call: StageCall,
    input: JsonObject,
    since: number,
    unread?: T,
    withinMs?: number,
  ): Promise<StageOutcome | T | undefined> {
    if (call.record === 'off') return undefined;
    const { root } = splitRun(run);
    const name = nameOf(run, call);
    const entry = entryOf(await reached(() => this.#parts.redis.hget(recordKey(root), name)));
    if (entry?.digest !== jsonHash(input) || entry.endedAt < since - CLOCKS_MS) return undefined;
    if (unread !== undefined && isStored(entry)) return unread;
    return await outcomeIn(entry, call, { root, call: name }, this.#parts.spill, withinMs);
  }

  async summary(run: string, ageMs = 0, read?: (bytes: number) => void): Promise<RecordSummary> {
    const { redis } = this.#parts;
    const key = recordKey(run);
    const [all, erased] = await reached(() => Promise.all([redis.hgetall(key), erasedSince(redis, [key], ageMs)]));
    const succeeded = new Map<string, number>();
    read?.(Object.entries(all).reduce((sum, [field, text]) => sum + field.length + text.length, 0));
    const turns = new Map<string, Map<string, number>>();
    for (const [field, text] of Object.entries(all)) {
      if (/^[@!=]/.test(field)) continue;
      const { stage, path } = JSON.parse(text) as Entry;
      // Calls of child runs are stored under the path of the child.
      if (path.startsWith(CHILD)) continue;
      addOne(succeeded, stage);
      const made = turnCallOf(path);
      if (made === undefined) continue;
      const ofStage = turns.get(stage) ?? new Map<string, number>();
      addOne(ofStage, made);
      turns.set(stage, ofStage);
    }
    const absent = Object.keys(all).every((field) => field === ERASED);
    const forgotten = all[FORGOTTEN] !== undefined;
    const gaps = Number(all[GAPS] ?? 0);
    return {
      succeeded,
      ...(turns.size > 0 && { turns }),
      gaps,
      ...(absent && { absent }),
      ...(erased === 1 && { erased: true as const }),
      ...(forgotten && { forgotten }),
    };
  }

  async erase(run: string): Promise<void> {
    const { root } = splitRun(run);
    const before = resumedRun(root);
    if (before !== undefined) await reached(() => forget(this.#parts.redis, [recordKey(before)]));
    await reached(() => erase(this.#parts.redis, [recordKey(root)], ERASED_MS));
  }

  async hold(run: string, before: Before, runMs: number, ageMs = 0): Promise<boolean> {
    const { redis } = this.#parts;
    const keptMs = this.#heldMs(runMs);
    return (await reached(() => hold(redis, [recordKey(run)], JSON.stringify(before), keptMs, ageMs))) === 1;
  }

  async holdEarlier(run: string, runMs: number): Promise<readonly string[]> {
    const gone: string[] = [];
    for (const from of resumedRuns(run)) {
      const isThere = await reached(() => keepOn(this.#parts.redis, [recordKey(from)], this.#heldMs(runMs)));
      if (isThere !== 1) gone.push(from);
    }
    return gone;
  }

  /** Longer than the record of the run that resumes, which may record a call at its very end. */
  #heldMs(runMs: number): number {
    return this.#parts.keptMs + 2 * runMs;
  }

  async #entryOf(ended: EndedCall): Promise<Entry> {
    const { run, call, input, attempt, startedAt, endedAt, endsAt, result } = ended;
    const { tenant, sealed: seals = false } = call;
    const digest = jsonHash(input);
    const given = call.record === 'outputs' ? undefined : inlineValue(input);
    const base = {
      path: pathOf(run, call),
      stage: call.stage,
      kind: call.kind,
      model: call.model,
      ...(call.codeVersion !== undefined && { codeVersion: call.codeVersion }),
      version: call.version,
      attempt,
      digest,
      startedAt,
      endedAt,
      ...(given && { input: given }),
    };
    if ('failure' in result) return { ...base, failure: result.failure };
    const { output, ...served } = result.outcome;
    const name = outputName({ root: splitRun(run).root, call: nameOf(run, call), digest });
    const withinMs = endsAt === undefined ? undefined : Math.max(0, endsAt - performance.now()) * STORING_SHARE;
    const place = { tenant, spill: this.#writes?.within(withinMs), name };
    return { ...base, output: await keptValue(output, place, seals), served };
  }
}

function addOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** A recorded failure as an error, final: another attempt would not change it. */
export const asThrown = ({ code, message }: Failure): MillraceError =>
  new MillraceError(isErrorCode(code) ? code : 'INTERNAL', message, { final: true });
