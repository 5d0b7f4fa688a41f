import { createHash } from 'node:crypto';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import { ownerOf } from '../../runs/caller.js';
import { notesOf } from '../../runs/notes.js';
import { type Paced, readPaced } from '../../runs/paced-runs.js';
import type { RunRecord } from '../../runs/read.js';
import { RECORDED_MS, readRecorded } from '../../runs/recorded.js';
import type { SessionName } from '../../stores/sessions/index.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { answerOf } from '../openai/chat-reply.js';
import { type Turn, turnsOfInput } from '../openai/conversation.js';
import type { Model } from '../openai/models.js';

/** How long a context is known after its last task, in milliseconds. */
const KEPT_MS = 7 * 86_400_000;
/** How many of a context's last tasks are looked at for one that has succeeded; each takes calls to Temporal. */
const MOST_TASKS = 8;

/** How many of a context's tasks are known: each message to it reads all of them. */
const MOST_KEPT = 256;

/** Version of the notes that a task's run keeps. */
const NOTES = 1;

/** A task of a context. */
interface Entry {
  readonly run: string;
  /** The key of its message. */
  readonly key: string;
}

/** A context of a caller's. */
export interface ContextName {
  readonly caller: Caller;
  readonly pipeline: string;
  readonly context: string;
}

/** The same for a message that is sent again: of its sender, since another's may have the same id. */
export function keyOf(caller: Caller, pipeline: string, messageId: string): string {
  const of = JSON.stringify([caller.tenant, ownerOf(caller) ?? '', pipeline, messageId]);
  return `a2a-${createHash('sha256').update(of).digest('hex').slice(0, 40)}`;
}

/** The context of a message that names none. */
export const contextOf = (key: string): string => `ctx-${key.slice(-32)}`;

export const notesFor = (context: string, immediate: boolean): JsonObject => ({
  a2a: NOTES,
  context,
  attended: !immediate,
});

/** A task's run, and the context that it belongs to: of a run that another door has started, its own id. */
export interface FoundTask {
  readonly context: string;
  readonly record: RunRecord;
}

/**
 * A task as it is, large ones of a tenant at a pace, as of `readPaced`.
 * @param recordMs how long Temporal's record is waited for where the result may have been sent ahead of it: who has got the result
 * knows that the task is complete. Absent: the caller need not have it. Throws as `readRecorded` and `readPaced` do.
 */
export async function readTask(
  deps: GatewayDeps,
  run: string,
  caller: Caller,
  { recordMs, ...how }: { readonly recordMs?: number } & Paced = {},
): Promise<FoundTask> {
  const [notes, record] = await Promise.all([notesOf(deps, run, caller, how), readPaced(deps, run, caller, how)]);
  const context = notes?.a2a === NOTES && typeof notes.context === 'string' ? notes.context : run;
  const { waiting = [] } = record.document;
  if (recordMs === undefined || waiting.length > 0 || notes?.attended !== true) return { context, record };
  return { context, record: await readRecorded(deps, record, caller, recordMs, how) };
}

/** The tasks of contexts, of pipelines that are given earlier turns: sessions of the tenant, under its quota. */
export class Contexts {
  readonly #deps: GatewayDeps;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
  }

  /**
   * The turns up to the last task of a context that has succeeded. A message that is sent again goes on from what it went on from
   * before. Throws `STORE_UNAVAILABLE`, `RATE_LIMITED` while too many large runs are read, and `ORCHESTRATOR_UNAVAILABLE` where it is not recorded
   * yet what the last task has said.
   */
  async before(name: ContextName, key: string, model: Model): Promise<readonly Turn[]> {
    const { caller } = name;
    requirePermission(caller, 'read');
    const { messages } = await this.#sessions.load(sessionOf(name));
    const entries = messages as unknown as readonly Entry[];
    const own = entries.findIndex((each) => each.key === key);
    const begun = entries[own] && (await this.#beginningOf(entries[own], caller, model));
    if (begun) return begun;
    const known = own < 0 ? entries : entries.slice(0, own);
    const until = Date.now() + RECORDED_MS;
    for (const { run } of known.slice(-MOST_TASKS).reverse()) {
      const recordMs = Math.max(0, until - Date.now());
      const found = await readTask(this.#deps, run, caller, { recordMs }).catch(asGone);
      if (found?.record.document.status !== 'succeeded') continue;
      const { document, input = {} } = found.record;
      const said = { role: 'assistant' as const, content: answerOf(document, model).text };
      return [...turnsOfInput(model, input, '', 'message.contextId'), { param: 'message.contextId', message: said }];
    }
    return [];
  }

  /** The turns before the message that a task has begun with: tasks before it may have ended since. Undefined if it is gone. */
  async #beginningOf({ run }: Entry, caller: Caller, model: Model): Promise<readonly Turn[] | undefined> {
    const found = await readTask(this.#deps, run, caller).catch(asGone);
    return found?.record.input && turnsOfInput(model, found.record.input, '', 'message.contextId').slice(0, -1);
  }

  /** Names a task that has just started. Never rejects: the task exists. */
  async add(name: ContextName, entry: Entry): Promise<void> {
    const messages = [entry] as unknown as readonly AgentMessage[];
    // The same key each time: a message that is sent again adds nothing.
    await this.#add(name, { key: entry.run, messages, ttlMs: KEPT_MS, keeps: MOST_KEPT }).catch((error: unknown) =>
      this.#deps.logger.warn({ runId: entry.run, err: error }, 'a context lacks a task that has started'),
    );
  }

  async #add(name: ContextName, part: Parameters<NonNullable<GatewayDeps['sessions']>['add']>[1]): Promise<void> {
    await this.#sessions.add(sessionOf(name), part);
  }

  get #sessions() {
    if (this.#deps.sessions) return this.#deps.sessions;
    throw new MillraceError('STORE_UNAVAILABLE', 'this gateway has no store of conversations');
  }
}

const sessionOf = ({ caller, pipeline, context }: ContextName): SessionName => ({
  tenant: caller.tenant,
  // No pipeline can have this name, since it begins with a letter.
  of: `@a2a/${pipeline}/${ownerOf(caller) ?? ''}`,
  session: context,
});

function asGone(error: unknown): undefined {
  if (error instanceof MillraceError && error.code === 'RUN_NOT_FOUND') return undefined;
  throw error;
}
