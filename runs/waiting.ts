import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MOST_PAYLOAD_BYTES } from '../pipelines/json-limits.js';
import { fittingWaits, WAITING_QUERY, type Wait } from '../pipelines/run/index.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { waitedTooLong } from '../runtime/waiting-room.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import type { EndingRun } from './outcome.js';
import { SharedRequests } from './shared-requests.js';

/** Most child runs that are queried for one run; each takes two calls to Temporal. */
export const MOST_CHILDREN = 32;

/** Runs with child runs that are asked for one tenant at a time: each takes up to 66 calls to Temporal, and 33 queries of workers. */
const AT_ONCE = 2;

/** A run or one of its child runs. */
export interface Within {
  /** The id of the parent run, as the caller knows it. */
  readonly id: string;
  readonly workflowId: string;
}

/** The path of a child run as a prefix of its stages' paths: `far/deeper/`. */
export const prefixOf = ({ id, workflowId }: Within): string =>
  workflowId === id ? '' : `${workflowId.slice(id.length + 1)}/`;

type Temporal = Pick<RunDeps, 'temporal'>;

/**
 * The open waits of a run and its child runs, with paths relative to the run, shortened where they are too large. Queries each workflow, which takes a
 * worker.
 * @param children ids of the child runs, if known
 * @param most bytes of all together. Default: as many as one workflow answers with
 */
export async function waitingIn(
  deps: Temporal,
  id: string,
  children?: readonly string[],
  most = MOST_PAYLOAD_BYTES,
): Promise<readonly Wait[]> {
  const waits = await ask(deps, { id, workflowId: id }, { children: MOST_CHILDREN }, children);
  return fittingWaits(waits, most);
}

const placesOf = new WeakMap<Client, FairSlots>();

/**
 * The same in its turn, for requests that may be repeated: two of a tenant's runs that have child runs are asked at a time. Throws `OVERLOADED` if
 * its turn has not come in time, and the errors of Temporal's client.
 * @param until when Temporal must have answered, in milliseconds since the epoch
 */
export async function waitingInTurn(
  { temporal }: Temporal,
  { id, tenant }: EndingRun,
  until: number,
  known?: readonly string[],
): Promise<readonly Wait[]> {
  const places = placesOf.get(temporal) ?? new FairSlots(Number.POSITIVE_INFINITY, AT_ONCE);
  placesOf.set(temporal, places);
  const children = known ?? (await childrenOf({ temporal }, id));
  const inTime = () => temporal.withDeadline(until, () => waitingIn({ temporal }, id, children));
  if (children.length === 0) return await inTime();
  const ms = Math.max(0, until - Date.now());
  const leave = await places.acquire(tenant, AbortSignal.timeout(ms)).catch(() => {
    throw waitedTooLong('place to ask the child runs of a run', ms);
  });
  return await inTime().finally(leave);
}

const questionsOf = new WeakMap<Client, SharedRequests<readonly Wait[]>>();

/** The same, once for all who ask meanwhile, within the time of one call to Temporal. Throws as `waitingInTurn` does. */
export function waitingTogether({ temporal }: Temporal, run: EndingRun): Promise<readonly Wait[]> {
  const questions = questionsOf.get(temporal) ?? new SharedRequests();
  questionsOf.set(temporal, questions);
  return questions.of(run.id, () => waitingInTurn({ temporal }, run, Date.now() + TEMPORAL_DEADLINE_MS));
}

async function ask(
  deps: Temporal,
  of: Within,
  left: { children: number },
  known?: readonly string[],
): Promise<readonly Wait[]> {
  const prefix = prefixOf(of);
  const waits = await deps.temporal.workflow.getHandle(of.workflowId).query<readonly Wait[]>(WAITING_QUERY);
  const own = waits.map((wait) => ({ ...wait, path: `${prefix}${wait.path}` }));
  const children = (known ?? (await childrenOf(deps, of.workflowId))).slice(0, left.children);
  left.children -= children.length;
  const below = await Promise.all(
    children.map((workflowId) => ask(deps, { id: of.id, workflowId }, left).catch(() => [])),
  );
  return [...own, ...below.flat()];
}

/** The ids of a run's running child runs; none if the run has just ended. */
export async function childrenOf({ temporal }: Temporal, workflowId: string): Promise<readonly string[]> {
  try {
    return pendingIn(
      workflowId,
      await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
        temporal.workflow.getHandle(workflowId).describe(),
      ),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw fromTemporal(error, workflowId);
  }
}

/** The child runs that Temporal lists as pending; their ids are `<run>/<path of the step>`. */
export const pendingIn = (workflowId: string, { raw }: Pick<WorkflowExecutionDescription, 'raw'>): readonly string[] =>
  (raw.pendingChildren ?? [])
    .map((child) => child.workflowId ?? '')
    .filter((child) => child.startsWith(`${workflowId}/`));
