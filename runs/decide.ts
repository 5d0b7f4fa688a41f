import { createHash } from 'node:crypto';
import { type Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { type FieldError, isErrorCode, MillraceError } from '../pipelines/errors.js';
import { invalidField } from '../pipelines/invalid-fields.js';
import { canonicalJson, type Json } from '../pipelines/json.js';
import { DECIDE_UPDATE, type GivenDecision, type Wait } from '../pipelines/run/index.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { hasEnded } from './cancel.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, grpcErrorIn } from './orchestrator.js';
import type { EndingRun } from './outcome.js';
import { childrenOf, MOST_CHILDREN, prefixOf, type Within, waitingTogether } from './waiting.js';

/** Longest wait for a run to accept a decision, in milliseconds: a segment that runs in parallel delays it by up to 2.4 s. */
const DECISION_MS = 10_000;

/** gRPC `ABORTED`: the run continues as new or moves to another worker; the decision has to be sent again. */
const ABORTED = 10;

/** Decisions of one tenant that look for their wait in child runs at a time, and the child runs that are asked at once for all of them. */
const WALKS = 4;
const CHILDREN_AT_ONCE = 16;

/** Longest wait of a decision to be one of those. */
const BOUNDS = { ms: 10_000, what: 'place to send a decision to child runs' };

const placesOf = new WeakMap<Client, { readonly walks: FairSlots; readonly children: FairSlots }>();

function placesFor(temporal: Client) {
  const places = placesOf.get(temporal) ?? {
    walks: new FairSlots(Number.POSITIVE_INFINITY, WALKS, BOUNDS),
    children: new FairSlots(Number.POSITIVE_INFINITY, CHILDREN_AT_ONCE),
  };
  placesOf.set(temporal, places);
  return places;
}

/** A decision on its way through a run and its child runs. */
interface DecisionRequest {
  readonly sent: GivenDecision;
  /** Path of the wait, where the caller names it. */
  readonly stage: string | undefined;
  readonly tenant: string;
  /** A run has accepted it: those that have not been asked need not be. */
  isTaken: boolean;
}

/**
 * Sends a decision to the run, or child run, that waits for it, and returns after the run has accepted it. Throws `NOT_WAITING` and
 * `ALREADY_DECIDED` if no wait is open for it, `OVERLOADED` if it was not sent to child runs because too many decisions of the tenant are, and
 * `ORCHESTRATOR_UNAVAILABLE` if it is unknown whether it was accepted; sending the same decision again is idempotent.
 */
export async function decideOn(deps: RunDeps, run: EndingRun, sent: GivenDecision, stage?: string): Promise<void> {
  const { walks } = placesFor(deps.temporal);
  const root = { id: run.id, workflowId: run.id };
  const request: DecisionRequest = { sent, stage, tenant: run.tenant, isTaken: false };
  if (await sendDecision(deps, root, request)) return;
  const children = await childrenToAsk(deps, root, request);
  const walk = () => isTakenBy(deps, children, request);
  if (children.length > 0 && (await walks.use(run.tenant, new AbortController().signal, walk))) return;
  throw notWaiting(sent.nonce, await waitingTogether(deps, run).catch(() => []));
}

export function notWaiting(nonce: string, waits: readonly Wait[]): MillraceError {
  const those = waits.length > 0 ? `; open waits: ${waits.map(({ path }) => path).join(', ')}` : '';
  return new MillraceError('NOT_WAITING', `the run has no open wait with the nonce "${nonce}"${those}`);
}

/** The child runs that may have the wait. */
async function childrenToAsk(deps: RunDeps, of: Within, { stage }: DecisionRequest): Promise<readonly Within[]> {
  const all = await childrenOf(deps, of.workflowId);
  const children = all
    .map((workflowId) => ({ id: of.id, workflowId }))
    .filter((child) => stage === undefined || stage.startsWith(prefixOf(child)));
  if (children.length > MOST_CHILDREN) {
    const message = `must be given: the run has ${children.length} child runs, too many to ask them all`;
    throw invalidField('stage', message);
  }
  return children;
}

/** Whether one of these child runs, or of theirs, has the wait and accepts the decision. Throws if one of them rejects it. */
async function isTakenBy(deps: RunDeps, children: readonly Within[], request: DecisionRequest): Promise<boolean> {
  const answers = await Promise.allSettled(children.map((child) => isTaken(deps, child, request)));
  if (answers.some((answer) => answer.status === 'fulfilled' && answer.value)) return true;
  const refused = answers.find((answer) => answer.status === 'rejected');
  if (refused) throw refused.reason;
  return false;
}

/** The same of one of them. True too if another one has accepted it meanwhile. */
async function isTaken(deps: RunDeps, child: Within, request: DecisionRequest): Promise<boolean> {
  const places = placesFor(deps.temporal).children;
  const known = await places.use(request.tenant, new AbortController().signal, async () => {
    if (!request.isTaken && !(await sendDecision(deps, child, request))) return false;
    request.isTaken = true;
    return true;
  });
  return known || (await isTakenBy(deps, await childrenToAsk(deps, child, request), request));
}

/** Sends the decision to one run. False if it does not have the wait; throws if it rejects the decision. */
async function sendDecision({ temporal }: RunDeps, of: Within, { sent, stage }: DecisionRequest): Promise<boolean> {
  const { id, workflowId } = of;
  const inside = stage?.startsWith(prefixOf(of)) ? stage.slice(prefixOf(of).length) : undefined;
  const given = { ...sent, ...(inside !== undefined && { path: inside }) };
  const handle = temporal.workflow.getHandle(workflowId);
  try {
    await temporal.withDeadline(Date.now() + DECISION_MS, () =>
      handle.executeUpdate(DECIDE_UPDATE, { args: [given], updateId: updateIdOf(given) }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      if (workflowId === id) throw hasEnded();
      return false;
    }
    const refused = refusalOf(error);
    if (refused?.code === 'NOT_WAITING') return false;
    throw refused ?? failureOf(error, workflowId);
  }
}

/** The same for the same decision, so that Temporal deduplicates it and returns its result even after the run has ended. */
const updateIdOf = (sent: GivenDecision): string =>
  `decide-${createHash('sha256')
    .update(canonicalJson(sent as unknown as Json))
    .digest('hex')
    .slice(0, 32)}`;

/** Why the run rejects a decision; undefined if the update did not reach it. */
function refusalOf(error: unknown): MillraceError | undefined {
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure) || !isErrorCode(cause.type)) return undefined;
  const { fields, message = cause.message } = (cause.details?.[0] ?? {}) as {
    fields?: readonly FieldError[];
    message?: string;
  };
  return new MillraceError(cause.type, message, { ...(fields && { fields }) });
}

function failureOf(error: unknown, workflowId: string): MillraceError {
  const unknown =
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
    error instanceof WorkflowUpdateFailedError ||
    grpcErrorIn(error)?.code === ABORTED;
  const known = fromTemporal(error, workflowId);
  if (!unknown && known.code !== 'ORCHESTRATOR_UNAVAILABLE') return known;
  const message =
    'no worker has said whether the run has taken the decision; send the same one again: it counts only once';
  return new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: error });
}
