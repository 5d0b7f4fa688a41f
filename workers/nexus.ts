import { createHash } from 'node:crypto';
import { startWorkflow, WorkflowRunOperationHandler } from '@temporalio/nexus';
import { HandlerError, operation, type ServiceHandler, service, serviceHandler } from 'nexus-rpc';
import { asFailure } from '../activities/stage/foreign-activity.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { invalidField } from '../pipelines/invalid-fields.js';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { type RunResult, WORKFLOW_TASK_TIMEOUT_MS } from '../pipelines/run/index.js';
import { BACKSTOP_MS } from '../runs/start.js';

/** Name of the service at each endpoint that leads to Millrace's task queue. */
const SERVICE = 'millrace';

/**
 * The Nexus service of a worker: an operation for each pipeline, with the pipeline's name, which starts a run as a client of
 * Temporal does. The run itself checks its arguments, so that it fails with the same codes.
 */
export function nexusService(pipelines: readonly Pipeline[]): ServiceHandler {
  const operations = pipelines.map(({ name }) => [name, operation<Json, RunResult>({ name })] as const);
  const handlers = pipelines.map((pipeline) => [pipeline.name, operationOf(pipeline)] as const);
  return serviceHandler(service(SERVICE, Object.fromEntries(operations)), Object.fromEntries(handlers));
}

/** Cancelling the operation cancels the run. Temporal repeats a start with the same request id, which has the same run. */
const operationOf = ({ name, plan }: Pick<Pipeline, 'name' | 'plan'>) =>
  new WorkflowRunOperationHandler<Json, RunResult>(async (context, given) =>
    startWorkflow(context, name, {
      workflowId: nexusRunId(name, context.requestId),
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowRunTimeout: plan.deadlineMs + BACKSTOP_MS,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
      args: argumentsOf(given),
    }),
  );

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Id of the run that a request starts: the gateway shows it, and it is the same for a repeated request. */
export function nexusRunId(pipeline: string, requestId: string): string {
  const unique = UUID.test(requestId) ? requestId : createHash('sha256').update(requestId).digest('hex').slice(0, 32);
  return `${pipeline}-${unique}`;
}

const FIELDS = ['input', 'options'];

/** The arguments of the run's workflow. Throws a `BAD_REQUEST` of Nexus whose cause has the code `INVALID_INPUT`. */
export function argumentsOf(given: Json | undefined): [Json] | [Json, Json] {
  if (!isJsonObject(given)) throw refused('body', 'the input of the operation must be an object: { input, options }');
  const unknown = Object.keys(given).find((key) => !FIELDS.includes(key));
  if (unknown !== undefined)
    throw refused(unknown, 'is no field of the operation’s input, which is { input, options }');
  const { input, options } = given;
  if (input === undefined) throw refused('input', 'is required: the input of the pipeline');
  return options === undefined ? [input] : [input, options];
}

function refused(field: string, message: string): HandlerError {
  const cause = invalidField(field, message);
  return new HandlerError('BAD_REQUEST', cause.message, { cause: asFailure(cause, false) });
}
