import { errorRow, MillraceError } from '../../pipelines/errors.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { cancelLeft, cancelRun } from '../../runs/cancel.js';
import type { RunDocument } from '../../runs/document.js';
import { type Followed, type FollowedRun, followRun } from '../../runs/follow.js';
import { launch, launchFollowed } from '../../runs/launch.js';
import { endsWithCaller } from '../../runs/leaving.js';
import type { Order } from '../../runs/order.js';
import { readPaced } from '../../runs/paced-runs.js';
import { runId } from '../../runs/prepare.js';
import { orderInput } from '../../runs/sent-input.js';
import type { StartedRun } from '../../runs/start.js';
import { waitForRun } from '../../runs/wait.js';
import { linkedAbort } from '../../runtime/limited.js';
import { type Caller, holds, requirePermission } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { senderOf } from '../input/held-bodies.js';
import { chargeReads } from '../openai/charged-reads.js';
import { decideAs } from '../waiting/decide-as.js';
import type { Asked } from '../waiting/follow-call.js';
import { type Ask, ended, expectOpen, findTask } from './ask.js';
import { contextOf, keyOf, notesFor, readTask } from './contexts.js';
import { ProtocolError, RPC } from './errors.js';
import { inputFrom } from './input.js';
import { decisionsIn, type Sent } from './message.js';
import { expectTold, pushes, type Subscribed, subscribe } from './push.js';
import type { TaskName } from './task.js';

/** How long a cancelled task may take to end before its canceller is told that it has not, in milliseconds. */
const CANCEL_MS = 5_000;

/** What happens to a task; the last is its end, or the waits that its client has to decide. */
export type Happening =
  | { readonly event: RunEvent }
  | { readonly waits: readonly Asked[] }
  | { readonly document: RunDocument };

/** A task that is followed. */
export interface FollowedTask {
  readonly name: TaskName;
  /** Absent: it has just been started. */
  readonly found?: RunDocument;
  readonly happenings: AsyncGenerator<Happening>;
  /** Stops following; must be called also if nothing has been read. */
  done(): void;
}

/** A task with the nonces of the waits that a message has decided. */
export interface Decided {
  readonly name: TaskName;
  readonly nonces: ReadonlySet<string>;
}

interface Ordered {
  readonly order: Order;
  readonly context: string;
  /** To be called if the run could not be started. Throws the error. */
  readonly refused: (error: unknown) => Promise<never>;
  /**
   * To be called once the run has started. Resolves with the run as it is if the same message has started it before. Throws
   * `IDEMPOTENCY_KEY_REUSED` if that named another context.
   */
  readonly started: (run: StartedRun) => Promise<RunDocument | undefined>;
}

/** Starts the task of a message, or the one that the same message has started before, and returns at once. */
export async function startTask(ask: Ask, sent: Sent): Promise<{ name: TaskName; found: RunDocument }> {
  const { order, context, refused, started } = await ordered(ask, sent);
  const { run, document } = await launch(ask.deps, order, { waitMs: 0, gone: ask.left }).catch(refused);
  await started(run);
  return { name: { run: run.id, context }, found: document };
}

/** The same, with what happens to it until it ends or waits for its client. */
export const followStarted = async (ask: Ask, sent: Sent): Promise<FollowedTask> =>
  followedUntilTurn(ask, await begun(ask, sent));

interface Begun extends FollowedRun {
  readonly context: string;
  readonly found: RunDocument | undefined;
  /** The run ends with its caller. */
  readonly ends: boolean;
  /** Stops following. */
  readonly release: () => void;
}

/** Starts the task of a message. In a function of its own: what is held while the task is followed holds nothing of the message. */
async function begun(ask: Ask, sent: Sent): Promise<Begun> {
  const { order, context, refused, started } = await ordered(ask, sent);
  const { signal, release } = goneOf(ask);
  try {
    const { run, events } = await launchFollowed(ask.deps, order, signal, ask.left).catch(refused);
    return { run, events, context, found: await started(run), ends: endsWithCaller(order), release };
  } catch (error) {
    release();
    throw error;
  }
}

function followedUntilTurn(ask: Ask, { run, events, context, found, ends, release }: Begun): FollowedTask {
  const { deps, left, caller } = ask;
  const leave = () => void cancelLeft(deps, { id: run.id, tenant: caller.tenant });
  const done = () => {
    left.removeEventListener('abort', leave);
    release();
  };
  if (ends) {
    left.addEventListener('abort', leave, { once: true });
    if (left.aborted) leave();
  }
  const happenings = untilTurn(ask, run.id, events, { ends: true, found });
  return { name: { run: run.id, context }, ...(found && { found }), happenings, done };
}

/**
 * Decides waits of a task by a message to it, which needs `run` too if it names a receiver. Throws `FORBIDDEN`, `RUN_NOT_FOUND`,
 * `RUN_ENDED`, `NOT_WAITING`, and `INVALID_INPUT`.
 */
export async function decide(ask: Ask, sent: Sent, run: string): Promise<Decided> {
  const { deps, caller } = ask;
  requirePermission(caller, 'approve', ...(sent.push ? (['run'] as const) : []));
  const { context, record } = await findTask(ask, run, { waits: 'acts' });
  if (sent.contextId !== undefined && sent.contextId !== context) {
    const message = `is not the context of the task ${run}`;
    throw new ProtocolError(RPC.invalidParams, 'INVALID_INPUT', `message.contextId ${message}`, 'message.contextId');
  }
  expectOpen(record.document);
  const decisions = decisionsIn(sent);
  if (sent.push) expectTold(record);
  // Each asks Temporal. The first was counted with the request. Before anything is changed, so that a refused message changes nothing.
  await chargeReads(deps, caller, decisions.length - 1);
  const subscribed = sent.push && (await subscribe(ask, { run, context }, sent.push, PUSH_FIELD));
  for (const [i, decision] of decisions.entries()) {
    const decided = decideAs(deps, caller, { run, ...decision });
    // The task goes on by what was decided before a refusal: its receiver is told of that.
    await (i === 0 ? decided.catch((error: unknown) => withdrawn(subscribed, error)) : decided);
  }
  return { name: { run, context }, nonces: new Set(decisions.map(({ nonce }) => nonce)) };
}

/** Follows a task from its beginning on, until its end. */
export const followTask = async (ask: Ask, name: TaskName, found: RunDocument): Promise<FollowedTask> =>
  await follow(ask, name, { ends: false, found });

/** The same, until it waits for another decision of its client. */
export const followDecided = async (ask: Ask, { name, nonces }: Decided): Promise<FollowedTask> =>
  await follow(ask, name, { ends: true, found: undefined, decided: nonces });

async function follow(ask: Ask, name: TaskName, turns: Turns): Promise<FollowedTask> {
  const { deps, caller } = ask;
  const leave = deps.streams.take(caller.tenant);
  const { signal, release } = goneOf(ask);
  const done = () => {
    release();
    leave();
  };
  try {
    const found = turns.found ?? (await readPaced(deps, name.run, caller, { waits: 'no' })).document;
    const events = followRun(deps, { id: name.run, caller }, { gone: signal });
    return { name, found, happenings: untilTurn(ask, name.run, events, { ...turns, found }), done };
  } catch (error) {
    done();
    throw error;
  }
}

/** Cancels a task and waits a moment for its end. Throws `RUN_NOT_FOUND`, and the protocol's error for a task that has ended. */
export async function cancelTask(ask: Ask, run: string): Promise<TaskName> {
  const { deps, caller, left } = ask;
  requirePermission(caller, 'run');
  const { context, record } = await findTask(ask, run, { waits: 'acts' });
  if (record.document.status !== 'running') throw ended(RPC.taskNotCancelable, run);
  await cancelRun(deps, run).catch((error: unknown) => {
    throw error instanceof MillraceError && error.code === 'RUN_ENDED' ? ended(RPC.taskNotCancelable, run) : error;
  });
  await waitForRun(deps, { id: run, tenant: caller.tenant }, CANCEL_MS, left);
  return { run, context };
}

const PUSH_FIELD = 'configuration.taskPushNotificationConfig.url';

async function ordered(ask: Ask, sent: Sent): Promise<Ordered> {
  const { deps, agent, caller, contexts, request, left } = ask;
  requirePermission(caller, 'run');
  const { pipeline, model, memory } = agent;
  const idempotencyKey = keyOf(caller, pipeline.name, sent.messageId);
  const { contextId } = sent;
  const context = contextId ?? contextOf(idempotencyKey);
  const name = { caller, pipeline: pipeline.name, context };
  const kept = memory === 'history' && sent.said.length > 0 && model !== undefined && deps.sessions !== undefined;
  const before = kept && contextId !== undefined ? await contexts.before(name, idempotencyKey, model) : [];
  const by = { pipeline, idempotencyKey, ...persistenceOf(request.headers) };
  const sender = senderOf(request, left);
  const input = orderInput(await inputFrom(deps, sender, { agent, sent }, { context, before }), by);
  // Before the start: a gateway that dies in between leaves no task that its client is not told of.
  const id = runId({ pipeline, tenant: caller.tenant, idempotencyKey });
  // Of a task that the same message has started it replaces none before it is certain that this is its message.
  const subscribed = sent.push && (await subscribe(ask, { run: id, context }, sent.push, PUSH_FIELD, false));
  const refused = (error: unknown) => withdrawn(subscribed, error);
  return {
    order: {
      ...by,
      caller,
      ...input,
      subscribable: pushes(deps, caller.tenant),
      notes: notesFor(context, sent.immediate),
    },
    context,
    refused,
    started: async ({ id: run, replayed }) => {
      request.notes.runId = run;
      // Its turn was that of the launch.
      const found = replayed ? await readTask(deps, run, caller, { waits: 'no' }) : undefined;
      // Of a run that no worker has started yet the context is not known.
      if (found && found.context !== context && found.context !== run) return await refused(ofAnotherContext());
      const isOpen = found === undefined || found.record.document.status === 'running';
      if (found && sent.push && isOpen) expectTold(found.record);
      // Also one that the refusal of the same message has taken back meanwhile.
      if (sent.push && isOpen && !subscribed?.isNew) await subscribe(ask, { run, context }, sent.push, PUSH_FIELD);
      if (kept) await contexts.add(name, { run, key: idempotencyKey });
      return found?.record.document;
    },
  };
}

/** Takes back the receiver of a message that is refused, unless its owner had one of the same id before. Throws the error. */
async function withdrawn(subscribed: Subscribed | undefined, error: unknown): Promise<never> {
  // Not what the same message has added that was accepted at the same moment.
  if (subscribed?.isNew && isRefusal(error)) await subscribed.takeBack().catch(() => undefined);
  throw error;
}

/** Whether the request has started and decided nothing: not where it may have, without an answer of Temporal. */
const isRefusal = (error: unknown): boolean => error instanceof MillraceError && errorRow(error.code).status < 500;

function ofAnotherContext(): MillraceError {
  const message = 'message.messageId was used before in another context';
  return new MillraceError('IDEMPOTENCY_KEY_REUSED', message, { fields: [{ field: 'message.contextId', message }] });
}

interface Turns {
  /** Whether to end where the task waits for its client. */
  readonly ends: boolean;
  /** The task as it is. Absent: it has just been started, or decided. */
  readonly found: RunDocument | undefined;
  /** Nonces of waits that have been decided: their events come again, and no worker may be there to say so. */
  readonly decided?: ReadonlySet<string>;
}

async function* untilTurn(
  { deps, caller }: Ask,
  run: string,
  events: AsyncGenerator<Followed>,
  { ends, found, decided }: Turns,
): AsyncGenerator<Happening> {
  const open = found?.waiting ?? [];
  // Events are gone before a person has decided.
  if (ends && open.length > 0 && holds(caller, 'approve')) {
    yield { waits: open };
    return;
  }
  for await (const each of events) {
    if ('document' in each) {
      yield { document: each.document };
      return;
    }
    const { event } = each;
    yield { event };
    if (event.type !== 'stage.waiting' || decided?.has(event.nonce) || !holds(caller, 'approve')) continue;
    const waits = await openWaits(deps, caller, run, event);
    if (waits.length === 0) continue;
    yield { waits };
    if (ends) return;
  }
}

/** The open waits of a run; none if this one has been decided. The known one where no worker can be asked. */
async function openWaits(deps: GatewayDeps, caller: Caller, run: string, known: Asked): Promise<readonly Asked[]> {
  const read = await readPaced(deps, run, caller, { waits: 'no' }).catch(() => undefined);
  if (read !== undefined && read.document.status !== 'running') return [];
  const waiting = read?.document.waiting ?? [known];
  return waiting.some(({ nonce }) => nonce === known.nonce) ? waiting : [];
}

/** Aborts when the client disconnects, or this process shuts down. */
function goneOf({ left, closing }: Ask) {
  const { own, release } = linkedAbort(left);
  const end = () => own.abort();
  if (closing.aborted) end();
  closing.addEventListener('abort', end, { once: true });
  return {
    signal: own.signal,
    release: () => {
      // Also ends events that nobody has read.
      end();
      release();
      closing.removeEventListener('abort', end);
    },
  };
}
