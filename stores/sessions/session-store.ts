import type { Redis } from 'ioredis';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import type { SessionGrant } from '../../pipelines/run/index.js';
import { keySegment, script } from '../redis/index.js';
import {
  erase,
  exceeded,
  type Keys,
  keysIn,
  limits,
  type Refusal,
  reached,
  type SessionQuota,
  UNLIMITED,
  USE,
} from './quota.js';

/** Prefix of the approvals among the fields of `about`, and of the keys of the parts. */
const GRANT = 'grant:';
const PART = 'part:';

/** A conversation as its user names it. */
export interface SessionName {
  readonly tenant: string;
  /** The pipeline and the owner that it belongs to. */
  readonly of: string;
  readonly session: string;
}

/** A conversation so far: a summary of its beginning, then the messages since. */
export interface Session {
  /** Also of what parts have in place of messages. */
  readonly summary?: string;
  readonly messages: readonly AgentMessage[];
  /** Number of parts ever added, including summarised ones; `upTo` of a summary counts in this. */
  readonly parts: number;
  /** Long results that messages have the beginning of, by the names in these. Absent: none. */
  readonly wholes?: Readonly<Record<string, Artifact>>;
  /** Key of the part with which it began, which tells it from one that begins under its name after it was erased. Absent: it has none yet. */
  readonly begun?: string;
}

export interface SessionPart {
  /** Identical in every attempt, so that a part is written once. */
  readonly key: string;
  readonly messages: readonly AgentMessage[];
  /** As of a session: those that its messages name. */
  readonly wholes?: Session['wholes'];
  readonly ttlMs: number;
  /**
   * Replaces the first `upTo` parts of the session that has `begun` so, whichever it is if that is absent. `ofRun`: it also has turns of the part's run,
   * which are nowhere else, so it stays with the part where it replaces nothing.
   */
  readonly summary?: { readonly text: string; readonly upTo: number; readonly begun?: string; readonly ofRun?: true };
  /** Most parts that are kept, this one included: older ones are dropped. Default: all. */
  readonly keeps?: number;
}

/** What a session is read for. */
interface Reading {
  /** Something is to be added to it; otherwise it is read whatever the tenant’s quota says. Default: yes. */
  readonly adds?: boolean;
  /** It may begin with that. Default: yes. */
  readonly begins?: boolean;
  /** Most bytes that it may have to be added to. Default: no limit. */
  readonly most?: number;
}

/**
 * Conversations in Redis, by tenant, pipeline and owner: a list with one part per run, and a hash with the summary, the
 * number of parts that it replaces, and approvals of calls. Every write is one script: concurrent runs of one session lose nothing, a
 * summary drops only parts that its writer has read, and writes are counted against the tenant's quota.
 */
export class SessionStore {
  readonly #redis: Redis;
  readonly #quota: SessionQuota;

  constructor(redis: Redis, quota: SessionQuota = UNLIMITED) {
    this.#redis = redis;
    this.#quota = quota;
  }

  /**
   * Throws `STORE_UNAVAILABLE`, and `QUOTA_EXCEEDED` if something is to be added and could not be, before the run has cost anything.
   */
  async load(name: SessionName, { adds = true, begins = adds, most = 0 }: Reading = {}): Promise<Session> {
    const { keys, own } = keysOf(name);
    const { sessions, bytes } = this.#quota;
    const limited = [begins ? sessions : 0, adds ? bytes : 0, adds ? most : 0] as const;
    const reply = await reached(() => load(this.#redis, keys, own, ...limited));
    if (reply === 'own') throw tooLong(most);
    if (typeof reply === 'string') throw exceeded(this.#quota, reply, name.tenant);
    const [all, [summary, dropped, begun]] = reply;
    const read = all.map((text) => JSON.parse(text) as Omit<SessionPart, 'summary'> & { readonly summary?: string });
    const wholes: Readonly<Record<string, Artifact>> = Object.assign({}, ...read.map((part) => part.wholes));
    const summaries = [summary ?? undefined, ...read.map((part) => part.summary)].filter((text) => text !== undefined);
    return {
      ...(summaries.length > 0 && { summary: joined(summaries) }),
      messages: read.flatMap(({ messages }) => messages),
      parts: Number(dropped ?? 0) + all.length,
      ...(Object.keys(wholes).length > 0 && { wholes }),
      ...(begun !== null && { begun }),
    };
  }

  /** Adds a part, once. Throws `STORE_UNAVAILABLE`, `STATE_STORE_FULL` and `QUOTA_EXCEEDED`. */
  async add(name: SessionName, { key, messages, wholes, ttlMs, summary, keeps = 0 }: SessionPart): Promise<void> {
    const { keys, own } = keysOf(name);
    const part = JSON.stringify({ key, messages, ...(wholes && { wholes }) });
    const { text = '', upTo = 0, begun = '' } = summary ?? {};
    const partsEnd = summary?.ofRun ? `,"summary":${JSON.stringify(text)}}` : '';
    const given = [key, part, ttlMs, text, upTo, keeps, begun, partsEnd] as const;
    const refused = await reached(() => add(this.#redis, keys, own, ...limits(this.#quota), ...given));
    if (typeof refused === 'string') throw exceeded(this.#quota, refused, name.tenant);
  }

  /** Bytes that a session counts against the quota; 0 if there is none. Throws `STORE_UNAVAILABLE`. */
  async bytesOf(name: SessionName): Promise<number> {
    const { keys, own } = keysOf(name);
    return Number((await reached(() => this.#redis.hget(keys[3], own))) ?? 0);
  }

  /** The approval that covers calls of a tool in the session. Throws `STORE_UNAVAILABLE`. */
  async granted(name: SessionName, tool: string): Promise<SessionGrant | undefined> {
    const { keys } = keysOf(name);
    const found = await reached(() => this.#redis.hget(keys[1], `${GRANT}${tool}`));
    return found === null ? undefined : (JSON.parse(found) as SessionGrant);
  }

  /** Keeps an approval for as long as the session, which begins with it if need be. Throws `STORE_UNAVAILABLE`, `STATE_STORE_FULL` and `QUOTA_EXCEEDED`. */
  async grant(name: SessionName, tool: string, given: SessionGrant, ttlMs: number): Promise<void> {
    const { keys, own } = keysOf(name);
    const field = `${GRANT}${tool}`;
    const refused = await reached(() =>
      grant(this.#redis, keys, own, ...limits(this.#quota), field, JSON.stringify(given), ttlMs),
    );
    if (typeof refused === 'string') throw exceeded(this.#quota, refused, name.tenant);
  }

  /** Removes a session with its approvals, and what it counts against the quota; false if there is none. Throws `STORE_UNAVAILABLE`. */
  async erase(name: SessionName): Promise<boolean> {
    const { keys, own } = keysOf(name);
    return await reached(() => erase(this.#redis, keys, own));
  }
}

/** Several summaries as one. Those of simultaneous runs begin alike: a line that one before has is left out. */
function joined(summaries: readonly string[]): string {
  const lines: string[] = [];
  for (const summary of summaries) {
    const before = new Set(lines);
    lines.push(...summary.split('\n').filter((line) => !before.has(line)));
  }
  return lines.join('\n');
}

const load = script<
  Keys,
  [own: string, mostSessions: number, mostBytes: number, mostOfOwn: number],
  Refusal | 'own' | readonly [string[], [summary: string | null, dropped: string | null, begun: string | null]]
>(`${USE}
if mostBytes > 0 and total >= mostBytes then return 'bytes' end
local mostOfOwn = tonumber(ARGV[4])
if mostOfOwn > 0 and tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0') >= mostOfOwn then return 'own' end
return {redis.call('LRANGE', KEYS[1], 0, -1), redis.call('HMGET', KEYS[2], 'summary', 'dropped', 'begun')}`);

/**
 * A part that already exists was written by an attempt whose worker died afterwards: the hash has the key of each part, with its number. No
 * part is read but those that are dropped, since a script that reads a long conversation holds up everything else in the store.
 */
const add = script<
  Keys,
  [
    own: string,
    mostSessions: number,
    mostBytes: number,
    key: string,
    part: string,
    ttlMs: number,
    summary: string,
    upTo: number,
    keeps: number,
    begun: string,
    partsEnd: string,
  ],
  Refusal | 0 | 1
>(`
local mark = '${PART}' .. ARGV[4]
if redis.call('HEXISTS', KEYS[2], mark) == 1 or redis.call('HGET', KEYS[2], 'last') == ARGV[4] then return 0 end
${USE}
local count = redis.call('LLEN', KEYS[1])
local dropped = tonumber(redis.call('HGET', KEYS[2], 'dropped') or '0')
local upTo, keeps = tonumber(ARGV[8]), tonumber(ARGV[9])
-- Of a session that was erased meanwhile nothing is left to summarise, and its words must not come back in a summary.
local begun = redis.call('HGET', KEYS[2], 'begun')
local isRead = ARGV[10] == '' or begun == ARGV[10]
local summed = isRead and upTo > dropped and upTo <= dropped + count
-- Whoever has read nothing, or this session, has nothing of an erased one.
local stays = ARGV[11] ~= '' and not summed and (ARGV[10] == '' and upTo == 0 or ARGV[10] ~= '' and begun == ARGV[10])
local part = stays and string.sub(ARGV[5], 1, -2) .. ARGV[11] or ARGV[5]
local drop = summed and upTo - dropped or 0
if keeps > 0 then drop = math.max(drop, count + 1 - keeps) end
drop = math.min(drop, count)
local before = tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0')
local summary = redis.call('HSTRLEN', KEYS[2], 'summary')
-- What has expired may still be counted.
local bytes = (count > 0 or summary > 0) and before or 0
for _, text in ipairs(drop > 0 and redis.call('LRANGE', KEYS[1], 0, drop - 1) or {}) do bytes = bytes - #text end
if summed then bytes = bytes - summary + #ARGV[7] end
bytes = math.max(0, bytes) + #part
if mostBytes > 0 and bytes > before and total - before + bytes > mostBytes then return 'bytes' end
redis.call('RPUSH', KEYS[1], part)
redis.call('HSET', KEYS[2], 'last', ARGV[4], mark, dropped + count + 1)
if count == 0 then redis.call('HSET', KEYS[2], 'begun', ARGV[4]) end
if summed then redis.call('HSET', KEYS[2], 'summary', ARGV[7]) end
if drop > 0 then
  redis.call('LTRIM', KEYS[1], drop, -1)
  redis.call('HSET', KEYS[2], 'dropped', dropped + drop)
  local about = redis.call('HGETALL', KEYS[2])
  for i = 1, #about, 2 do
    local isPart = string.sub(about[i], 1, #'${PART}') == '${PART}'
    if isPart and tonumber(about[i + 1]) <= dropped + drop then redis.call('HDEL', KEYS[2], about[i]) end
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('ZADD', KEYS[3], now + ARGV[6], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], bytes, '@total', total - before + bytes)
return 1
`);

/** Both keys live equally long. */
const grant = script<
  Keys,
  [own: string, mostSessions: number, mostBytes: number, field: string, given: string, ttlMs: number],
  Refusal | 1
>(`${USE}
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('ZADD', KEYS[3], now + ARGV[6], ARGV[1])
return 1
`);

/** Names of conversations are not empty, so none collides with what is remembered of a user. */
const keysOf = ({ tenant, of, session }: SessionName) => keysIn(tenant, `${keySegment(of)}:${keySegment(session)}`);

const tooLong = (most: number): MillraceError => {
  const message = `it has its limit of ${most} bytes: begin another one`;
  return new MillraceError('QUOTA_EXCEEDED', `the conversation is full: ${message}`, {
    fields: [{ field: 'session', message }],
  });
};
