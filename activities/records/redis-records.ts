import type { Redis } from 'ioredis';
import { isErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { resumedRun, type StageCall, type StageOutcome, splitRun } from '../../pipelines/plan/index.js';
import type { EndedCall, KeptEnd, RecordSummary, ResumableRecords, RunRecords } from './record.js';
import type { Spill } from './spill.js';

export interface RedisRecordsParts {
  readonly redis: Redis;
  /** Keeps what is too large for Redis. Absent: it is a gap. */
  readonly spill?: Spill;
  /** How long a record is kept after the last call that ended, in milliseconds. */
  readonly keptMs: number;
  /** Whether the store has room for records: they give way before runs do. */
  readonly room?: () => boolean;
  /** Called for each call that is not kept. */
  readonly onGap?: (error: unknown) => void;
}

/** A value above this goes to the artifact store, in bytes of JSON. */
const INLINE_BYTES = 16_384;
/** Most of one run: a loop over some thousand items, in two fields each. */
const MOST_FIELDS = 10_000;
const MOST_BYTES = 8 * 2 ** 20;

/** A call's entry, as it lies in Redis. */
interface Entry {
  readonly path: string;
  readonly stage: string;
  readonly kind: string;
  readonly model: string;
  /** The plan's version. */
  readonly version: string;
  readonly attempt: number;
  readonly digest: string;
  readonly input?: Value;
  readonly output?: Value;
  readonly served?: Omit<StageOutcome, 'output'>;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly startedAt: number;
  readonly endedAt: number;
}

/** In place, or where the artifact store has it. */
type Value = { readonly json: Json } | { readonly uri: string };

/**
 * Records in Redis: a hash for each run, its child runs included, with a field for each call. A success is never replaced by
 * the failure of a later attempt: its worker may have died before anybody heard of it.
 */
export class RedisRecords implements RunRecords, ResumableRecords {
  readonly #parts: RedisRecordsParts;
  /** Calls that could not be kept, until a later write says so. */
  readonly #gaps = new Map<string, number>();

  constructor(parts: RedisRecordsParts) {
    this.#parts = parts;
  }

  async keep(ended: EndedCall): Promise<void> {
    const { redis, keptMs, room = () => true, onGap = () => undefined } = this.#parts;
    const { run, call } = ended;
    if (call.record === 'off') return;
    const { root } = splitRun(run);
    const gaps = this.#gaps.get(root) ?? 0;
    this.#gaps.delete(root);
    try {
      if (!room()) throw new MillraceError('STATE_STORE_FULL', 'there is no room for records');
      const entry = await this.#entryOf(ended);
      const name = nameOf(run, call);
      const [field, path] = entry.failure ? [`${FAILED}${name}`, ''] : [name, `${PATH}${pathOf(run, call)}`];
      const text = JSON.stringify(entry);
      const kept = await redis.eval(KEEP, 1, recordKey(root), field, text, keptMs, path, name, gaps, MOST_FIELDS, MOST_BYTES);
      if (kept !== 1) onGap(new MillraceError('RESULT_TOO_LARGE', 'the record of the run has reached its most'));
    } catch (error) {
      if (this.#gaps.size < MOST_FIELDS) this.#gaps.set(root, (this.#gaps.get(root) ?? 0) + gaps + 1);
      onGap(error);
    }
  }

  async before(run: string, call: StageCall, input: JsonObject): Promise<KeptEnd | undefined> {
    const { root, inside } = splitRun(run);
    const from = resumedRun(root);
    if (from === undefined) return undefined;
    const before = inside === '' ? from : `${from}/${inside}`;
    const name = nameOf(before, call);
    const fields = [HELD, name, `${FAILED}${name}`, `${PATH}${pathOf(before, call)}`];
    const [held, succeeded, failed, other] = await reached(() => this.#parts.redis.hmget(recordKey(from), ...fields));
    if (held == null) {
      throw new MillraceError('RECORD_GONE', `the record of the run "${from}" is not there any more: what has ended is not known`);
    }
    const digest = jsonHash(input);
    const ended = succeeded == null ? undefined : (JSON.parse(succeeded) as Entry);
    if (ended?.served && ended.output !== undefined && ended.digest === digest) {
      const output = (await this.#valueOf(ended.output, call.tenant)) as JsonObject;
      return { outcome: { ...ended.served, output } };
    }
    // Another candidate of the stage has succeeded: this one failed before it, or was not asked for.
    if (ended === undefined && failed != null && other != null) {
      const { failure } = JSON.parse(failed) as Entry;
      if (failure) return { failure };
    }
    if (ended !== undefined || other != null) requireRepeatable(call);
    return undefined;
  }

  async summary(run: string): Promise<RecordSummary> {
    const all = await reached(() => this.#parts.redis.hgetall(recordKey(run)));
    const succeeded = new Map<string, number>();
    for (const [field, text] of Object.entries(all)) {
      if (/^[@!=]/.test(field)) continue;
      const { stage, path } = JSON.parse(text) as Entry;
      // The calls of child runs stand behind the path of the child.
      if (path.startsWith(CHILD)) continue;
      succeeded.set(stage, (succeeded.get(stage) ?? 0) + 1);
    }
    return { succeeded, gaps: Number(all[GAPS] ?? 0) };
  }

  async hold(run: string): Promise<void> {
    await reached(() => this.#parts.redis.eval(HOLD, 1, recordKey(run), this.#parts.keptMs));
  }

  async #entryOf({ run, call, input, attempt, startedAt, endedAt, result }: EndedCall): Promise<Entry> {
    const full = call.record !== 'outputs';
    const base = {
      path: pathOf(run, call),
      stage: call.stage,
      kind: call.kind,
      model: call.model,
      version: call.version,
      attempt,
      digest: jsonHash(input),
      ...(full && { input: await this.#kept(input, call.tenant) }),
      startedAt,
      endedAt,
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
    if (!spill) throw new MillraceError('RECORD_GONE', 'a value of the record cannot be read');
    return JSON.parse(await spill.get(tenant, value.uri)) as Json;
  }
}

/** What changes something elsewhere: with another input than the one it has succeeded with it would happen twice. */
const EFFECTS: ReadonlySet<string> = new Set(['code', 'http', 'mcp', 'upsert', 'session']);

function requireRepeatable({ kind, path, stage }: StageCall): void {
  if (!EFFECTS.has(kind)) return;
  throw new MillraceError(
    'RESUME_DIVERGED',
    `stage "${path ?? stage}" has succeeded in the run before with another input, and is not repeated`,
    { stage },
  );
}

export const recordKey = (root: string): string => `millrace:record:{${root}}`;

/** Before the path of a call of a child run. */
const CHILD = '/';

function pathOf(run: string, { path, stage }: StageCall): string {
  const { inside } = splitRun(run);
  return inside === '' ? (path ?? stage) : `${CHILD}${inside}/${path ?? stage}`;
}

/** A call among those of its run: where it stands and what serves it. */
const nameOf = (run: string, call: StageCall): string =>
  `${pathOf(run, call)} ${jsonHash([call.kind, call.model, call.with, call.cache?.only ?? false]).slice(0, 16)}`;

/** Fields that are no call's success: the mark of a resumption, gaps and bytes; failures; which call has succeeded at a path. */
const HELD = '@held';
const GAPS = '@gaps';
const BYTES = '@bytes';
const FAILED = '!';
const PATH = '=';

const KEEP = `local gaps = tonumber(ARGV[6])
local size = string.len(ARGV[2])
local full = redis.call('hlen', KEYS[1]) >= tonumber(ARGV[7])
  or tonumber(redis.call('hget', KEYS[1], '${BYTES}') or '0') + size > tonumber(ARGV[8])
if full then gaps = gaps + 1 end
if gaps > 0 then redis.call('hincrby', KEYS[1], '${GAPS}', gaps) end
if not full then
  if redis.call('hset', KEYS[1], ARGV[1], ARGV[2]) == 1 then redis.call('hincrby', KEYS[1], '${BYTES}', size) end
  if ARGV[4] ~= '' then redis.call('hset', KEYS[1], ARGV[4], ARGV[5]) end
end
local ttl = redis.call('pttl', KEYS[1])
if ttl < tonumber(ARGV[3]) then redis.call('pexpire', KEYS[1], ARGV[3]) end
return full and 0 or 1`;

const HOLD = `redis.call('hset', KEYS[1], '${HELD}', '1')
redis.call('pexpire', KEYS[1], ARGV[1])`;

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = `the record of the run cannot be reached: ${messageOf(error)}`;
    throw new MillraceError('STORE_UNAVAILABLE', message, {}, { cause: error });
  }
}

/** A kept failure as it was thrown. */
export const asThrown = ({ code, message }: { readonly code: string; readonly message: string }): MillraceError =>
  new MillraceError(isErrorCode(code) ? code : 'INTERNAL', message);
