import { MillraceError } from '../../pipelines/errors.js';
import type { RunStatus } from '../../pipelines/run/document.js';
import { deliveryId, SEARCH_ATTRIBUTES } from '../../pipelines/run/index.js';
import type { RunFilters } from './run-list.js';

/** How Temporal calls what a run's document says of its end (`outcomeOf`): a run that was ended from outside has failed. */
const ENDED_STATUSES: Readonly<Record<Exclude<RunStatus, 'running'>, readonly string[]>> = {
  succeeded: ['Completed'],
  failed: ['Failed', 'Terminated', 'TimedOut'],
  cancelled: ['Canceled'],
};

/** Names, ids and times: nothing that could end a string or begin an escape. */
const VALUE = /^[A-Za-z0-9._:/-]{1,255}$/;

interface Scope {
  readonly tenant: string;
  /** Absent: all of the tenant's. */
  readonly pipelines?: readonly string[] | undefined;
}

/**
 * The filters in the language of Temporal's visibility (a list filter), for the runs of a tenant alone. A child run is none of
 * the list, and its parent is a run: that of a run whose end is told of is a delivery. A history that went on in a new one is
 * none either.
 */
export function visibilityQuery({ tenant, pipelines }: Scope, filters: RunFilters): string {
  const { pipeline, pipelines: some, version, status, id, from, to } = filters;
  return [
    equals(SEARCH_ATTRIBUTES.tenant, tenant),
    pipeline !== undefined && equals(SEARCH_ATTRIBUTES.pipeline, pipeline),
    pipelines !== undefined && oneOf(SEARCH_ATTRIBUTES.pipeline, pipelines),
    some !== undefined && oneOf(SEARCH_ATTRIBUTES.pipeline, some),
    version !== undefined && equals(SEARCH_ATTRIBUTES.version, version),
    hasStatus(status),
    id !== undefined && `WorkflowId STARTS_WITH ${quoted(id)}`,
    from !== undefined && `StartTime >= ${quoted(from)}`,
    to !== undefined && `StartTime < ${quoted(to)}`,
    `(ParentWorkflowId IS NULL OR ParentWorkflowId STARTS_WITH ${quoted(deliveryId(''))})`,
  ]
    .filter((term) => term !== false)
    .join(' AND ');
}

/** A run that an operator has paused is open too; servers before that feature refuse its status in a query. */
function hasStatus(status: RunStatus | undefined): string {
  if (status === undefined) return `ExecutionStatus != ${quoted('ContinuedAsNew')}`;
  return status === 'running' ? 'CloseTime IS NULL' : oneOf('ExecutionStatus', ENDED_STATUSES[status]);
}

interface Running {
  readonly taskQueue: string;
  /** Absent: of all tenants. */
  readonly tenant?: string | undefined;
}

/** The running runs whose workflows are in a task queue, child runs included. */
export const runningQuery = ({ taskQueue, tenant }: Running): string =>
  [
    equals('TaskQueue', taskQueue),
    hasStatus('running'),
    tenant === undefined ? `${SEARCH_ATTRIBUTES.tenant} IS NOT NULL` : equals(SEARCH_ATTRIBUTES.tenant, tenant),
  ].join(' AND ');

const equals = (name: string, value: string): string => `${name} = ${quoted(value)}`;
const oneOf = (name: string, values: readonly string[]): string => `${name} IN (${values.map(quoted).join(', ')})`;

function quoted(value: string): string {
  if (VALUE.test(value)) return `'${value}'`;
  throw new MillraceError('INTERNAL', 'a filter of the list of runs was not checked');
}
