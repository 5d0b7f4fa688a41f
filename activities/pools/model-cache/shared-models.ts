import type { Redis } from 'ioredis';
import { script } from '../../../stores/redis/index.js';
import type { KnownModel } from './plan-load.js';

/** A worker's lease of a model that is not renewed for this time is over: the worker is gone. */
export const LEASE_MS = 4_000;
/** A load or unload that is not renewed for this time is over. */
export const CHANGE_MS = 10_000;
/**
 * So long a model is not unloaded after a call has asked for it, or after it was loaded for one: the calls that wait for it come back within
 * 1.25 s.
 */
export const WANTED_MS = 3_000;
/** After this time a call counts half. */
export const HALF_LIFE_MS = 600_000;
/** What is known of a server's models is kept for this time after the last change. */
const KEPT_MS = 86_400_000;
/** How long a model that could not be loaded is not tried again: the first time, doubled each time, and at most. */
const PAUSE_MS = { first: 10_000, longest: 300_000 };

/**
 * All scripts have two keys: a hash of the server's models, and a hash of leases, `<worker> <model>` to its end. A model is JSON:
 * `bytes`, `uses`, `at`, `clock`, `loadMs`, `present` (it was loaded at the last look at the server), `wanted` (until), `op` (a load or unload:
 * `kind`, `by`, `ends`, and `hint` while no call waits for it) and `failed` (`ends`, `pauseMs`, `message`). `gen` changes with every load and unload that begins or ends.
 */
const PRELUDE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function parsed(text)
  local record = text and cjson.decode(text) or {}
  if record.op and record.op.ends < now then record.op = nil end
  return record
end
local function read(model) return parsed(redis.call('HGET', KEYS[1], 'model ' .. model)) end
local function write(model, record)
  redis.call('HSET', KEYS[1], 'model ' .. model, cjson.encode(record))
  redis.call('PEXPIRE', KEYS[1], ${KEPT_MS})
end
local function each(run)
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local model = string.match(all[i], '^model (.*)$')
    if model then run(model, parsed(all[i + 1])) end
  end
end
local function number(field) return tonumber(redis.call('HGET', KEYS[1], field) or '0') end
local function changed() return redis.call('HINCRBY', KEYS[1], 'gen', 1) end
local function used(record, count)
  local since = math.max(0, now - (record.at or now))
  record.uses = (record.uses or 0) * 2 ^ (-since / ${HALF_LIFE_MS}) + count
  record.at = now
  record.clock = number('clock')
end
local function lease(worker, model, held)
  if held then
    redis.call('HSET', KEYS[2], worker .. ' ' .. model, now + ${LEASE_MS})
    redis.call('PEXPIRE', KEYS[2], ${LEASE_MS})
  else
    redis.call('HDEL', KEYS[2], worker .. ' ' .. model)
  end
end
`;

type Keys = [models: string, leases: string];

/** Takes a lease of a model that is loaded, for a first call. Otherwise says what is known of it, and how much memory is taken. */
const enter = script<
  Keys,
  [worker: string, model: string, bytes: number, uses: number],
  [ready: number, changing: string, loadMs: string, failed: string, used: string]
>(`${PRELUDE}
local record = read(ARGV[2])
record.bytes = tonumber(ARGV[3])
if record.op and tonumber(ARGV[4]) > 0 then record.op.hint = nil end
if record.present and not record.op then
  used(record, tonumber(ARGV[4]))
  if tonumber(ARGV[4]) > 0 then record.wanted = nil end
  lease(ARGV[1], ARGV[2], true)
  write(ARGV[2], record)
  return { 1, '', '', '', '' }
end
write(ARGV[2], record)
local taken = 0
each(function(_, other) if other.present or other.op then taken = taken + (other.bytes or 0) end end)
local failed = record.failed and record.failed.ends > now and record.failed.message or ''
return { 0, record.op and record.op.kind or '', tostring(record.loadMs or ''), failed, tostring(taken) }`);

/** Renews or gives up leases, and counts calls: `[[model, calls, held], …]`. */
const report = script<Keys, [worker: string, models: string], void>(`${PRELUDE}
for _, entry in ipairs(cjson.decode(ARGV[2])) do
  local model, calls, held = entry[1], entry[2], entry[3]
  if calls > 0 then
    local record = read(model)
    used(record, calls)
    write(model, record)
  end
  lease(ARGV[1], model, held)
end`);

/** Returns everything that is known, as JSON. Unless it is for a hint, the model is wanted from now on. */
const observe = script<Keys, [model: string, bytes: number, hint: 0 | 1], string>(`${PRELUDE}
local own = read(ARGV[1])
own.bytes = tonumber(ARGV[2])
if ARGV[3] == '0' then own.wanted = now + ${WANTED_MS} end
write(ARGV[1], own)
local held = {}
local leases = redis.call('HGETALL', KEYS[2])
for i = 1, #leases, 2 do
  if tonumber(leases[i + 1]) < now then
    redis.call('HDEL', KEYS[2], leases[i])
  else
    held[string.match(leases[i], '^%S+ (.*)$')] = true
  end
end
local models = {}
each(function(model, record)
  models[model] = {
    bytes = record.bytes or 0,
    uses = record.uses or 0,
    at = record.at or 0,
    clock = record.clock or 0,
    loadMs = record.loadMs,
    held = held[model] or false,
    wanted = (record.wanted or 0) >= now,
    changing = record.op and record.op.kind,
    failed = record.failed and record.failed.ends > now and record.failed.message or nil,
  }
end)
return cjson.encode({ gen = number('gen'), clock = number('clock'), models = models })`);

/**
 * Notes which models the server has. Then, if `model` is not empty, begins to load it and to unload the victims: only if no load or
 * unload has begun or ended since `gen`, and if no victim has been leased or wanted since. Returns 0 if it does not.
 */
const commit = script<
  Keys,
  [gen: number, worker: string, model: string, clock: string, present: string, victims: string, hint: 0 | 1],
  number
>(`${PRELUDE}
if number('gen') ~= tonumber(ARGV[1]) then return 0 end
local present = {}
for _, model in ipairs(cjson.decode(ARGV[5])) do present[model] = true end
each(function(model, record)
  if not record.op and (record.present or false) ~= (present[model] or false) then
    record.present = present[model]
    write(model, record)
  end
end)
if ARGV[3] == '' then return 1 end
local victims = cjson.decode(ARGV[6])
local held = {}
local leases = redis.call('HGETALL', KEYS[2])
for i = 1, #leases, 2 do
  if tonumber(leases[i + 1]) >= now then held[string.match(leases[i], '^%S+ (.*)$')] = true end
end
local own = read(ARGV[3])
if own.op then return 0 end
for _, model in ipairs(victims) do
  local record = read(model)
  if held[model] or record.op or (record.wanted or 0) >= now then return 0 end
end
for _, model in ipairs(victims) do
  local record = read(model)
  record.op = { kind = 'unload', by = ARGV[2], ends = now + ${CHANGE_MS} }
  write(model, record)
end
own.op = { kind = 'load', by = ARGV[2], ends = now + ${CHANGE_MS}, hint = ARGV[7] == '1' or nil }
write(ARGV[3], own)
redis.call('HSET', KEYS[1], 'clock', ARGV[4])
return changed()`);

/** Renews the loads and unloads of a worker. 0: one of them is over, and another worker may have begun something else. */
const renew = script<Keys, [worker: string, models: string], number>(`${PRELUDE}
local own = 1
for _, model in ipairs(cjson.decode(ARGV[2])) do
  local record = read(model)
  if record.op and record.op.by == ARGV[1] then
    record.op.ends = now + ${CHANGE_MS}
    write(model, record)
  else
    own = 0
  end
end
return own`);

/**
 * Ends the loads and unloads of a worker. `loadMs` is empty unless the model has been loaded; `failure` says why it cannot be, and is
 * empty if the server was only away.
 */
const finish = script<
  Keys,
  [worker: string, model: string, loadMs: string, failure: string, unloaded: string, kept: string],
  void
>(`${PRELUDE}
local function over(model, present)
  local record = read(model)
  if not record.op or record.op.by ~= ARGV[1] then return end
  record.op = nil
  record.present = present or nil
  write(model, record)
end
for _, model in ipairs(cjson.decode(ARGV[5])) do over(model, false) end
for _, model in ipairs(cjson.decode(ARGV[6])) do over(model, true) end
local own = read(ARGV[2])
if own.op and own.op.by == ARGV[1] then
  local hint = own.op.hint
  own.op = nil
  own.present = nil
  local ms = tonumber(ARGV[3])
  if ms then
    own.present = true
    own.failed = nil
    own.loadMs = own.loadMs and (own.loadMs + ms) / 2 or ms
    used(own, 0)
    if not hint then own.wanted = now + ${WANTED_MS} end
  elseif ARGV[4] ~= '' then
    local before = own.failed
    local recent = before and now - before.ends < ${PAUSE_MS.longest}
    local pause = recent and math.min(before.pauseMs * 2, ${PAUSE_MS.longest}) or ${PAUSE_MS.first}
    own.failed = { ends = now + pause, pauseMs = pause, message = ARGV[4] }
  end
  write(ARGV[2], own)
end
changed()`);

/** Answer to a first call. */
export type Entrance =
  | { readonly ready: true }
  | {
      readonly ready: false;
      /** A worker loads or unloads it. */
      readonly changing?: 'load' | 'unload';
      /** How long it took to load, in milliseconds. */
      readonly loadMs?: number;
      /** Why it could not be loaded a short time ago. */
      readonly failed?: string;
      /** Memory of the server that is taken. */
      readonly used: number;
    };

export interface Observed {
  readonly gen: number;
  readonly clock: number;
  readonly known: ReadonlyMap<string, Omit<KnownModel, 'pinned'>>;
}

/** Use of a model by this worker since its last report. */
export type Use = readonly [model: string, calls: number, held: boolean];

/** What is known of the models of one server, in the state store: it is the same for all workers. Rejects with Redis' error. */
export class SharedModels {
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #worker: string;

  /** @param server the same at every worker */
  constructor(redis: Redis, server: string, worker: string) {
    this.#redis = redis;
    this.#worker = worker;
    const models = `millrace:models:{${server}}`;
    this.#keys = [models, `${models}:leases`];
  }

  async enter(model: string, bytes: number, uses: number): Promise<Entrance> {
    const answer = await enter(this.#redis, this.#keys, this.#worker, model, bytes, uses);
    const [ready, changing, loadMs, failed, used] = answer;
    if (ready === 1) return { ready: true };
    return {
      ready: false,
      used: Number(used),
      ...((changing === 'load' || changing === 'unload') && { changing }),
      ...(loadMs !== '' && { loadMs: Number(loadMs) }),
      ...(failed !== '' && { failed }),
    };
  }

  async report(uses: readonly Use[]): Promise<void> {
    await report(this.#redis, this.#keys, this.#worker, JSON.stringify(uses));
  }

  /** Unless it is for a hint, the model is wanted from now on: it is not unloaded for some seconds. */
  async observe(model: string, bytes: number, hint = false): Promise<Observed> {
    const text = await observe(this.#redis, this.#keys, model, bytes, hint ? 1 : 0);
    const { models, ...observed } = JSON.parse(text) as Omit<Observed, 'known'> & {
      readonly models: Readonly<Record<string, Omit<KnownModel, 'pinned'>>>;
    };
    return { ...observed, known: new Map(Object.entries(models)) };
  }

  /** Notes which models are loaded. False: something has changed since `gen`. */
  async settle(gen: number, present: readonly string[]): Promise<boolean> {
    return (await commit(this.#redis, this.#keys, gen, this.#worker, '', '0', JSON.stringify(present), '[]', 0)) !== 0;
  }

  /** Begins to load a model in place of others. False: something has changed since `gen`, or a victim is used again. */
  async begin(
    gen: number,
    change: {
      readonly model: string;
      readonly victims: readonly string[];
      readonly clock: number;
      readonly present: readonly string[];
      /** No call waits for it. */
      readonly hint?: boolean;
    },
  ): Promise<boolean> {
    const { model, victims, clock, present, hint } = change;
    const [there, gone] = [JSON.stringify(present), JSON.stringify(victims)];
    return (
      (await commit(this.#redis, this.#keys, gen, this.#worker, model, String(clock), there, gone, hint ? 1 : 0)) !== 0
    );
  }

  /** False: it took too long, and the change may be another worker's. */
  async renew(models: readonly string[]): Promise<boolean> {
    return (await renew(this.#redis, this.#keys, this.#worker, JSON.stringify(models))) === 1;
  }

  async finish(
    model: string,
    end: {
      readonly loadMs?: number | undefined;
      readonly failure?: string | undefined;
      readonly unloaded: readonly string[];
      readonly kept: readonly string[];
    },
  ): Promise<void> {
    const { loadMs, failure = '', unloaded, kept } = end;
    const ms = loadMs === undefined ? '' : String(Math.max(1, Math.round(loadMs)));
    const [gone, there] = [JSON.stringify(unloaded), JSON.stringify(kept)];
    await finish(this.#redis, this.#keys, this.#worker, model, ms, failure, gone, there);
  }
}
