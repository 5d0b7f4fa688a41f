import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, type Json, type JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import { ownerOf, sessionsOf } from '../../runs/caller.js';
import { ReadPace } from '../../runs/read-pace.js';
import type { SessionName } from '../../stores/sessions/index.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { chargeReads } from './charged-reads.js';
import type { Turn } from './conversation.js';
import type { Item } from './responses-items.js';
import { turnsOf } from './responses-turns.js';
import { responseOfItem, type StoredResponses } from './stored-responses.js';

/** How long a conversation is kept after it was last added to, in milliseconds: 30 days, as OpenAI keeps responses. */
const KEPT_MS = 30 * 86_400_000;

/** Size from which nothing is added to a conversation, in bytes: each request about it reads all of it, media in its items included. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Most of the last responses of a conversation that have failed or are gone: each takes calls to Temporal. */
const MOST_FAILED = 64;

const ID = /^conv_[0-9a-f]{32}$/;

/** What a conversation is made of, in order. */
type Entry =
  | { readonly created: number; readonly metadata: JsonObject }
  | { readonly metadata: JsonObject }
  | { readonly items: readonly KeptItem[] }
  /** A response; `of` tells its request from others, `items` are what the caller gave in it. */
  | { readonly response: string; readonly of: string; readonly pipeline: string; readonly items: readonly KeptItem[] };

export type KeptItem = Item & { readonly id: string };

export interface Conversation {
  readonly id: string;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly metadata: JsonObject;
  readonly entries: readonly Entry[];
}

/**
 * How the entry is known that a request has made when it was sent before: by the response that its idempotency key names, or without a
 * key by the digest of what it asks.
 */
export type Again = { readonly response: string } | { readonly of: string };

/** The turns of a conversation that a response goes on from. */
export interface Before {
  readonly turns: readonly Turn[];
  /** Those since the last response: what a pipeline with sessions of its own has not been given yet. */
  readonly since: readonly Turn[];
}

/**
 * Conversations of clients: sessions in the store of the agents' sessions, under the same quota of the tenant. A
 * conversation holds what was added to it and names its responses; the turns of these are in their runs.
 */
export class Conversations {
  readonly #deps: Pick<GatewayDeps, 'sessions' | 'logger' | 'authenticator'>;
  readonly #responses: StoredResponses;
  readonly #pace = new ReadPace();

  constructor(deps: Pick<GatewayDeps, 'sessions' | 'logger' | 'authenticator'>, responses: StoredResponses) {
    this.#deps = deps;
    this.#responses = responses;
  }

  async create(caller: Caller, items: readonly Item[], metadata: JsonObject): Promise<Conversation> {
    const id = `conv_${randomUUID().replaceAll('-', '')}`;
    const created = Math.floor(Date.now() / 1_000);
    const kept = withIds(items);
    const entries: Entry[] = [{ created, metadata }, ...(kept.length > 0 ? [{ items: kept }] : [])];
    await this.#add(caller, id, entries);
    return { id, createdAt: created, metadata, entries };
  }

  /**
   * Throws `RUN_NOT_FOUND` for one of another owner too, `STORE_UNAVAILABLE`, `RATE_LIMITED` while too many large ones are read, and
   * `QUOTA_EXCEEDED` if something is to be added and could not be.
   */
  async find(id: string, caller: Caller, { adds = false } = {}): Promise<Conversation> {
    if (!ID.test(id)) throw notFound(id);
    const reading = { adds, begins: false, most: MOST_BYTES };
    const name = nameOf(caller, id);
    await this.#pace.turn(caller.tenant, (await this.#sessions.bytesOf?.(name)) ?? 0);
    const { messages } = await this.#sessions.load(name, reading);
    const entries = messages as unknown as readonly Entry[];
    const [first] = entries;
    if (first === undefined || !('created' in first)) throw notFound(id);
    const metadata = entries.flatMap((each) => ('metadata' in each ? [each.metadata] : [])).at(-1) ?? {};
    return { id, createdAt: first.created, metadata, entries };
  }

  /** The items of an entry; of a response that is gone, those that the caller gave in it. */
  async itemsOf(entry: Entry, caller: Caller): Promise<readonly KeptItem[]> {
    const own = 'items' in entry ? entry.items : [];
    const found = 'response' in entry && (await this.#responses.find(entry.response, caller).catch(asGone));
    return found ? [...own, ...(this.#responses.itemsOf(found) as readonly KeptItem[])] : own;
  }

  /** Adds items once, however often their client sends them. */
  async addItems(
    { id, entries }: Conversation,
    caller: Caller,
    items: readonly Item[],
    { retry = 0, key }: Sent,
  ): Promise<readonly KeptItem[]> {
    const last = entries.at(-1);
    // A retry whose first try has reached the store.
    if (retry > 0 && last !== undefined && isOfItems(last) && isSame(last.items, items)) return last.items;
    const of = key === undefined ? undefined : jsonHash([id, key, textOf(items)]).slice(0, 32);
    const kept = withIds(items, of);
    await this.#add(caller, id, [{ items: kept }], of);
    return kept;
  }

  async setMetadata({ id }: Conversation, caller: Caller, metadata: JsonObject): Promise<void> {
    await this.#add(caller, id, [{ metadata }]);
  }

  /** Erases it, with the sessions of the agents that took part; their runs are kept as others are. */
  async erase({ id, entries }: Conversation, caller: Caller): Promise<void> {
    const pipelines = new Set(entries.flatMap((each) => ('response' in each ? [each.pipeline] : [])));
    for (const pipeline of pipelines)
      await this.#sessions.erase({ tenant: caller.tenant, of: sessionsOf(pipeline, caller), session: id });
    await this.#sessions.erase(nameOf(caller, id));
  }

  /**
   * The turns before a response. A request that is sent again goes on from what was entered before it, in which there is more than the first
   * time if another request came at the same moment. Throws
   * `RUN_NOT_ENDED` while the conversation's last response is not complete, and `INVALID_INPUT` if too many of the last have failed.
   * @param again absent: the request was not sent before
   */
  async before({ entries }: Conversation, caller: Caller, again: Again | undefined): Promise<Before> {
    requirePermission(caller, 'read');
    const own = again === undefined ? -1 : indexOf(entries, again);
    const known = own < 0 ? entries : entries.slice(0, own);
    // The latest first.
    const said: Turn[][] = [];
    const sinceThen = () => said.reverse().flat();
    let failed = 0;
    for (const entry of [...known].reverse()) {
      if ('response' in entry) {
        if (failed > MOST_FAILED) throw allFailed();
        // The first was counted with the request.
        if (failed > 0) await chargeReads(this.#deps, caller, 1, failed - 1);
        failed += 1;
        const found = await this.#responses.find(entry.response, caller).catch(asGone);
        const status = found?.document.status;
        if (status === 'running') throw busy(entry.response);
        // What was said in a response that has failed is not part of the conversation.
        if (found === undefined || status !== 'succeeded') continue;
        const turns = this.#responses.turnsIn(found, PARAM);
        const since = sinceThen();
        return { turns: [...turns, ...since], since };
      }
      if ('items' in entry) said.push(turnsOf(entry.items, () => PARAM));
    }
    const since = sinceThen();
    return { turns: since, since };
  }

  /** Names a response that has just started. Never rejects: the response exists. */
  async addResponse(
    { id }: Conversation,
    caller: Caller,
    entry: {
      readonly response: string;
      readonly of: string;
      readonly pipeline: string;
      readonly items: readonly Item[];
    },
  ): Promise<void> {
    // The same key each time: a request that is sent again adds nothing.
    const added = this.#add(caller, id, [{ ...entry, items: withIds(entry.items, entry.response) }], entry.response);
    await added.catch((error: unknown) =>
      this.#deps.logger.warn({ conversation: id, err: error }, 'a conversation lacks a response that has started'),
    );
  }

  async #add(caller: Caller, id: string, entries: readonly Entry[], key: string = randomUUID()): Promise<void> {
    const messages = entries as unknown as readonly AgentMessage[];
    await this.#sessions.add(nameOf(caller, id), { key, messages, ttlMs: KEPT_MS });
  }

  get #sessions() {
    if (this.#deps.sessions) return this.#deps.sessions;
    throw new MillraceError('STORE_UNAVAILABLE', 'this gateway has no store of conversations');
  }
}

/** How a request was sent. */
interface Sent {
  /** Which retry of the client it is. */
  readonly retry?: number | undefined;
  /** Its idempotency key. */
  readonly key?: string | undefined;
}

/**
 * The index of the entry that a request has made when it was sent before; -1 if it has made none. With a key it may be any. Without one
 * only the last may be taken for it: further up, an equal request is one of its own.
 */
function indexOf(entries: readonly Entry[], again: Again): number {
  if ('response' in again) return entries.findIndex((each) => 'response' in each && each.response === again.response);
  const last = entries.at(-1);
  return last !== undefined && 'response' in last && last.of === again.of ? entries.length - 1 : -1;
}

const isOfItems = (entry: Entry): entry is Entry & { readonly items: readonly KeptItem[] } =>
  'items' in entry && !('response' in entry);

const isSame = (kept: readonly Item[], items: readonly Item[]): boolean => textOf(kept) === textOf(items);

/** Without ids, which are given here. */
const textOf = (items: readonly Item[]): string =>
  canonicalJson(JSON.parse(JSON.stringify(items.map((item) => ({ ...item, id: null })))) as Json);

/** Whether an entry may have an item: those of a response name its run. */
export const mayHave = (entry: Entry, id: unknown): boolean =>
  ('items' in entry && entry.items.some((each) => each.id === id)) ||
  ('response' in entry && entry.response === responseOfItem(String(id)));

const PARAM = 'conversation';

const nameOf = (caller: Caller, session: string): SessionName => ({
  tenant: caller.tenant,
  // No pipeline can have this name, since it begins with a letter.
  of: `@conversations/${ownerOf(caller) ?? ''}`,
  session,
});

const withIds = (items: readonly Item[], of: string = randomUUID().replaceAll('-', '')): KeptItem[] =>
  items.map((each, i) => ({ ...each, id: `item_${of.replace(/^resp_/, '')}_${i}` }));

function asGone(error: unknown): undefined {
  if (error instanceof MillraceError && error.code === 'RUN_NOT_FOUND') return undefined;
  throw error;
}

function busy(response: string): MillraceError {
  const message = `the conversation’s last response, ${response}, is not complete yet`;
  return new MillraceError('RUN_NOT_ENDED', `conversation: ${message}`, { fields: [{ field: PARAM, message }] });
}

function allFailed(): MillraceError {
  const message = `its last ${MOST_FAILED} responses have failed or are gone: begin another conversation`;
  return new MillraceError('INVALID_INPUT', `conversation: ${message}`, { fields: [{ field: PARAM, message }] });
}

function notFound(id: string): MillraceError {
  const message = `no conversation of yours has the id "${id}"`;
  return new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: PARAM, message }] });
}
