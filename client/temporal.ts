import type { Client, WorkflowHandle, WorkflowStartOptions } from '@temporalio/client';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { RunResult, StartOptions } from '../pipelines/run/index.js';

/**
 * Starts runs from a Temporal client, without the gateway: like `client.workflow.start`, but typed by the pipeline.
 * Admission limits, idempotency keys and webhooks are the gateway's and do not apply.
 */
export interface StartPipelineOptions
  extends Omit<StartOptions, 'millrace'>,
    Partial<
      Pick<WorkflowStartOptions, 'taskQueue' | 'workflowId' | 'workflowIdReusePolicy' | 'workflowIdConflictPolicy'>
    > {}

/** Result of a run whose pipeline's output is `O`. */
export interface PipelineResult<O> extends Omit<RunResult, 'output'> {
  readonly output: O;
}

/** A started run; `result()` rejects with a `WorkflowFailedError` whose cause has a code of the error table as its type. */
export type PipelineHandle<O> = Omit<WorkflowHandle, 'result'> & { result(): Promise<PipelineResult<O>> };

/** Default of `MILLRACE_TASK_QUEUE`. */
const TASK_QUEUE = 'millrace';

/** As for runs that a gateway starts: when a worker dies, another continues inline stages after this time, in milliseconds. */
const TASK_TIMEOUT_MS = 3_000;

/**
 * Starts a run of a pipeline and returns its handle. The default id, `<pipeline>-<UUID>`, is one under which the gateway
 * shows the run as well.
 */
export async function startPipeline<I, O>(
  client: Pick<Client, 'workflow'>,
  pipeline: Pick<Pipeline<I, O>, 'name' | 'input' | 'output'>,
  input: I,
  options: StartPipelineOptions = {},
): Promise<PipelineHandle<O>> {
  const { tenant, priority, outputs, deadlineMs, ...own } = options;
  const given: StartOptions = {
    millrace: 1,
    ...(tenant !== undefined && { tenant }),
    ...(priority !== undefined && { priority }),
    ...(outputs !== undefined && { outputs }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  };
  const handle = await client.workflow.start(pipeline.name, {
    taskQueue: TASK_QUEUE,
    workflowTaskTimeout: TASK_TIMEOUT_MS,
    workflowId: `${pipeline.name}-${crypto.randomUUID()}`,
    ...(tenant !== undefined && { priority: { fairnessKey: tenant } }),
    ...own,
    args: [input, given],
  });
  return handle as unknown as PipelineHandle<O>;
}

/** Starts a run and waits for its result. */
export async function executePipeline<I, O>(
  client: Pick<Client, 'workflow'>,
  pipeline: Pick<Pipeline<I, O>, 'name' | 'input' | 'output'>,
  input: I,
  options: StartPipelineOptions = {},
): Promise<PipelineResult<O>> {
  return await (await startPipeline(client, pipeline, input, options)).result();
}
