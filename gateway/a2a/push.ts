import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../pipelines/json.js';
import { ownerOf } from '../../runs/caller.js';
import { findRun, type RunRecord } from '../../runs/read.js';
import { expectTarget, signs } from '../../runs/webhooks/targets.js';
import type { Subscription } from '../../stores/subscriptions/index.js';
import { type Caller, holds, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { type Ask, ended, expectOpen, findTask } from './ask.js';
import { ProtocolError, RPC } from './errors.js';
import { type GivenPush, noPush } from './message.js';
import type { PushConfig } from './protocol.js';
import type { TaskName } from './task.js';

/** How long attempts at a receiver may go on after a task's end, in milliseconds. */
const ATTEMPTS_MS = 4 * 86_400_000;

/** What a subscription of this door keeps for its notifications. */
export interface PushKept {
  /** The version that they are written in. */
  readonly version: string;
  readonly context: string;
  /** Base URL of the gateway for the client, of links. */
  readonly base: string;
  readonly token?: string;
  readonly authentication?: { readonly scheme: string; readonly credentials?: string };
}

/** Whether updates of a tenant's tasks can be sent to webhooks: the operator has given it secrets, which sign them. */
export const pushes = ({ subscriptions, webhooks }: GatewayDeps, tenant: string): boolean =>
  subscriptions !== undefined && signs(webhooks, tenant);

/** What sends a tenant's notifications. Throws the protocol's error if they are off. */
function pushing({ deps: { subscriptions, webhooks }, caller: { tenant } }: Pick<Ask, 'deps' | 'caller'>) {
  if (!subscriptions || !webhooks || !signs(webhooks, tenant)) throw noPush();
  return { subscriptions, webhooks };
}

/** Throws the protocol's error if notifications are off. */
export const expectPushes = (ask: Pick<Ask, 'deps' | 'caller'>): void => void pushing(ask);

/** A receiver that has been added. */
export interface Subscribed {
  readonly config: PushConfig;
  /** The caller had none of the same id. */
  readonly isNew: boolean;
  /** Removes it, unless another request of the caller's has replaced it since. */
  takeBack(): Promise<void>;
}

/**
 * Adds a receiver of a task's updates, or replaces the caller's own of the same id. Who may not decide is not told of waits. Throws
 * `WEBHOOK_REFUSED`, and the protocol's error if notifications are off.
 * @param field the field of the URL
 * @param replaces whether it takes the place of the caller's own of the same id
 */
export async function subscribe(
  ask: Ask,
  { run, context }: TaskName,
  given: GivenPush,
  field: string,
  replaces = true,
): Promise<Subscribed> {
  const { caller, agent, wire, base } = ask;
  const { subscriptions, webhooks } = pushing(ask);
  const { url, token, authentication: { scheme, credentials } = { scheme: '', credentials: '' } } = given;
  expectTarget(webhooks, url, field);
  const kept: PushKept = {
    version: wire.version,
    context,
    base,
    ...(token !== '' && { token }),
    ...(scheme !== '' && { authentication: { scheme, ...(credentials !== '' && { credentials }) } }),
  };
  const subscription: Subscription = {
    id: given.id || run,
    owner: ownerOf(caller),
    request: randomUUID(),
    url,
    waits: holds(caller, 'approve'),
    about: kept as unknown as JsonObject,
  };
  const keptMs = agent.pipeline.plan.deadlineMs + ATTEMPTS_MS;
  const of = { tenant: caller.tenant, run };
  const isNew = await subscriptions.put(of, subscription, keptMs, replaces);
  return { config: shown(run, subscription), isNew, takeBack: () => subscriptions.takeBack(of, subscription) };
}

/** Throws the protocol's error for a task whose delivery knows of no subscriptions. */
export function expectTold({ document: { id }, webhooks = [] }: RunRecord): void {
  if (webhooks.some((each) => 'subscriptions' in each)) return;
  const message = `the task ${id} was started by another door, or while push notifications were off`;
  throw new ProtocolError(RPC.unsupportedOperation, 'NO_WEBHOOK', message, 'taskId');
}

/** Adds a receiver to a task that is under way. Throws as `subscribe` does, and `RUN_NOT_FOUND` and the protocol's error for a task that has ended. */
export async function setConfig(ask: Ask, given: GivenPush & { readonly taskId: string }): Promise<PushConfig> {
  const { deps, caller } = ask;
  const { taskId: run } = given;
  requirePermission(caller, 'run');
  const { context, record } = await findTask(ask, run);
  expectOpen(record.document);
  expectTold(record);
  const { config, isNew, takeBack } = await subscribe(ask, { run, context }, given, 'url');
  // Of a task that has ended meanwhile, the receivers may have been looked up before.
  const { running } = await findRun(deps, run, caller);
  if (running) return config;
  // In place of one of the same id, which is to be told of the end, it may be told.
  if (isNew) await takeBack();
  throw ended(RPC.unsupportedOperation, run);
}

interface ConfigName {
  readonly taskId: string;
  readonly id: string;
}

/** A receiver that the caller has added. Throws `RUN_NOT_FOUND`, and the protocol's error if there is none. */
export async function getConfig(ask: Ask, name: ConfigName): Promise<PushConfig> {
  const found = (await configsOf(ask, name)).find(({ id }) => id === name.id);
  if (found) return found;
  const message = `the task ${name.taskId} has no push notification config "${name.id}"`;
  throw new ProtocolError(RPC.taskNotFound, 'NO_WEBHOOK', message, 'id');
}

/** The receivers that the caller has added to a task; none once their attempts have ended. Throws `RUN_NOT_FOUND`. */
export async function configsOf(ask: Ask, { taskId: run }: ConfigName): Promise<readonly PushConfig[]> {
  const { caller } = ask;
  const { subscriptions } = pushing(ask);
  await findTask(ask, run);
  const all = await subscriptions.list({ tenant: caller.tenant, run });
  return all.filter((each) => isOf(each, caller)).map((each) => shown(run, each));
}

/** Removes a receiver that the caller has added, if there is one: it is told nothing more. Throws `RUN_NOT_FOUND`. */
export async function deleteConfig(ask: Ask, { taskId: run, id }: ConfigName): Promise<void> {
  const { caller } = ask;
  await findTask(ask, run);
  requirePermission(caller, 'run');
  await pushing(ask).subscriptions.remove({ tenant: caller.tenant, run }, { id, owner: ownerOf(caller) });
}

const isOf = ({ owner }: Subscription, caller: Caller): boolean => owner === ownerOf(caller);

/** Without the credentials, which nobody needs to read back. */
function shown(taskId: string, { id, url, about }: Subscription): PushConfig {
  const { token, authentication } = about as unknown as PushKept;
  return {
    taskId,
    id,
    url,
    ...(token !== undefined && { token }),
    ...(authentication && { authentication: { scheme: authentication.scheme } }),
  };
}
