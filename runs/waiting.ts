import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../pipelines/errors.js';
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

/**
 * Runs with child runs, and child runs, that are asked for one tenant at a time: as many as two runs with the most child runs have. Not so many runs: a
 * child run that computes keeps a question for seconds.
 */
const AT_ONCE = 2 * MOST_CHILDREN;

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

/** Asks when there is a place for it. */
type Turn = <T>(question: () => Promise<T>) => Promise<T>;

/**
 * The open waits of a run and its child runs, with paths relative to the run, shortened where they are too large. Queries each workflow, which takes a
 * worker.
 * @param children ids of the child runs, if known
 * @param most bytes of all together. Default: as many as one workflow answers with
 * @param turn asks one of them; what it throws as `OVERLOADED` ends the asking. Default: at once
 */
export async function waitingIn(
  deps: Temporal,
  id: string,
  children?: readonly string[],
  most = MOST_PAYLOAD_BYTES,
  turn: Turn = (question) => question(),
): Promise<readonly Wait[]> {
  const waits = await ask(deps, { id, workflowId: id }, { children: MOST_CHILDREN, turn }, children);
  return fittingWaits(waits, most);
}

const placesOf = new WeakMap<Client, FairSlots>();

/**
 * The same in turns, for requests that may be repeated: of a tenant's runs that have child runs, and of these, a number is asked at a time. Throws
 * `OVERLOADED` if a turn has not come in time, and the errors of Temporal's client.
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
  const children = known ?? (await childrenOf({ temporal }, id, until));
  const turn: Turn = async (question) => {
    // Half of the time is left for the answer: a child run without one would be taken for one that waits for nothing.
    const ms = Math.max(0, Math.floor((until - Date.now()) / 2));
    const leave = await places.acquire(tenant, AbortSignal.timeout(ms)).catch(() => {
      throw waitedTooLong('place to ask the child runs of a run', ms);
    });
    return await question().finally(leave);
  };
  return await temporal.withDeadline(until, () =>
    waitingIn({ temporal }, id, children, undefined, children.length > 0 ? turn : undefined),
  );
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
  left: { children: number; readonly turn: Turn },
  known?: readonly string[],
): Promise<readonly Wait[]> {
  const prefix = prefixOf(of);
  const [waits, all] = await left.turn(async () => {
    const query = deps.temporal.workflow.getHandle(of.workflowId).query<readonly Wait[]>(WAITING_QUERY);
    return [await query, known ?? (await childrenOf(deps, of.workflowId))] as const;
  });
  const own = waits.map((wait) => ({ ...wait, path: `${prefix}${wait.path}` }));
  const children = all.slice(0, left.children);
  left.children -= children.length;
  const below = await Promise.all(
    children.map((workflowId) => ask(deps, { id: of.id, workflowId }, left).catch(noneUnlessUnasked)),
  );
  return [...own, ...below.flat()];
}

/** No waits for a child run that does not answer. Throws if it was not asked at all, so that its waits are not taken for decided. */
function noneUnlessUnasked(error: unknown): readonly Wait[] {
  if (error instanceof MillraceError && error.code === 'OVERLOADED') throw error;
  return [];
}

/** The ids of a run's running child runs; none if the run has just ended. */
export async function childrenOf(
  { temporal }: Temporal,
  workflowId: string,
  until = Date.now() + TEMPORAL_DEADLINE_MS,
): Promise<readonly string[]> {
  try {
    const describe = () => temporal.workflow.getHandle(workflowId).describe();
    return pendingIn(workflowId, await temporal.withDeadline(until, describe));
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
