import {
  type Client,
  WorkflowFailedError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  defaultPayloadConverter,
  RetryState,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/common';
import type { JsonObject } from '../../pipelines/json.js';
import {
  type GivenDecision,
  type RunContext,
  type RunResult,
  type StageRecord,
  WAITING_QUERY,
} from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { Waits } from '../../workflows/interpreter/index.js';
import { waitFor } from './waits.js';

interface FakeRun {
  readonly type: string;
  readonly options: { workflowId: string; memo: Record<string, unknown>; args: [JsonObject, RunContext] } & JsonObject;
  readonly started: Date;
  status: 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELED';
  /** When it ended. Absent: at the time of the description. */
  closed?: Date;
  readonly ended: Promise<RunResult>;
  end: (result: RunResult | Error) => void;
}

/**
 * Temporal's client as the gateway uses it, in memory, with runs that end when the test says so. Stands in where Temporal
 * itself cannot be brought into the state that a test is about; the integration tests use the real one.
 */
export class FakeTemporal {
  readonly runs = new Map<string, FakeRun>();
  /** Thrown by every call while set. */
  outage: Error | undefined;
  stages: readonly StageRecord[] | undefined;
  /** What the run waits for; undefined while no worker can be asked. */
  waits: Waits | undefined = new Waits();
  /** Workflows whose first task a worker has completed, by their ids. */
  readonly begun = new Set<string>();
  /** Child runs that are under way, by their ids: what they wait for. */
  readonly children = new Map<string, Waits>();
  /** What the last attempts of activities that are under way have left in their heartbeats. */
  heartbeats: readonly JsonObject[] = [];
  /** What has been sent to runs: `cancel`, a signal's name or an update's with its argument. */
  readonly sent: [what: string, argument?: unknown][] = [];
  /** To which. */
  readonly sentTo: string[] = [];
  /** Called for each run that starts. */
  onStart: (run: FakeRun) => void = () => {};

  readonly client = this.#client() as unknown as Client;

  only(): FakeRun {
    const [run] = this.runs.values();
    if (run === undefined || this.runs.size > 1) throw new Error(`${this.runs.size} runs were started, not one`);
    return run;
  }

  #client() {
    const call = <T>(work: () => T): T => {
      if (this.outage) throw this.outage;
      return work();
    };
    const options = {
      namespace: 'default',
      loadedDataConverter: { payloadConverter: defaultPayloadConverter, payloadCodecs: [] },
    };
    let abort: AbortSignal | undefined;
    return {
      options,
      withDeadline: async <T>(_: number, work: () => Promise<T>) => await work(),
      withAbortSignal: async <T>(signal: AbortSignal, work: () => Promise<T>) => {
        abort = signal;
        return await work();
      },
      workflow: {
        start: async (type: string, options: FakeRun['options']) => call(() => this.#start(type, options)),
        getHandle: (id: string) => ({
          describe: async () => call(() => this.#describe(id)),
          result: async () => {
            const signal = abort;
            abort = undefined;
            const { ended } = call(() => this.#run(id));
            return await (signal ? Promise.race([ended, cancelled(signal)]) : ended);
          },
          query: async (name: string) => {
            const answer = name === WAITING_QUERY ? this.#waitsOf(id)?.open : this.stages;
            if (answer === undefined) throw new Error('no worker');
            return answer;
          },
          cancel: async () => call(() => this.#send(id, 'cancel')),
          signal: async (name: string, argument: unknown) => call(() => this.#send(id, name, argument)),
          executeUpdate: async (name: string, { args: [given] }: { args: [GivenDecision] }) =>
            call(() => this.#update(id, name, given)),
        }),
        workflowService: {
          listWorkflowExecutions: async () => ({ executions: [], nextPageToken: new Uint8Array() }),
          getWorkflowExecutionHistoryReverse: async () => ({ history: { events: [] } }),
          deleteWorkflowExecution: async () => ({}),
          getWorkflowExecutionHistory: async ({ execution }: { execution: { workflowId: string } }) =>
            call(() => {
              const { args } = this.#run(execution.workflowId).options;
              const payloads = args.map((arg) => defaultPayloadConverter.toPayload(arg));
              return { history: { events: [{ workflowExecutionStartedEventAttributes: { input: { payloads } } }] } };
            }),
        },
      },
    };
  }

  #run(id: string): FakeRun {
    const run = this.runs.get(id);
    if (run === undefined) throw new WorkflowNotFoundError('not found', id, undefined);
    return run;
  }

  /** Opens waits at these paths; of a child run where its id is given. */
  waitAt(paths: readonly string[], child?: string): void {
    const waits = new Waits();
    for (const path of paths) waits.begin(waitFor(path, child));
    if (child === undefined) this.waits = waits;
    else this.children.set(child, waits);
  }

  #waitsOf(id: string): Waits | undefined {
    return this.children.get(id) ?? this.waits;
  }

  #update(id: string, name: string, given: GivenDecision) {
    const waits = this.#waitsOf(id);
    if (!this.children.has(id) && this.#run(id).status !== 'RUNNING')
      throw new WorkflowNotFoundError('workflow execution ended', id, undefined);
    if (!waits) throw new WorkflowUpdateRPCTimeoutOrCancelledError('no worker');
    try {
      const decision = waits.decide(given);
      this.#send(id, name, given);
      return decision;
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      const cause = ApplicationFailure.create({ type: error.code, message: error.message, details: [error.details] });
      throw new WorkflowUpdateFailedError('refused', cause);
    }
  }

  /** Temporal takes nothing for a run that has ended. */
  #send(id: string, ...what: [what: string, argument?: unknown]): void {
    const runs = this.children.has(id) || this.#run(id).status === 'RUNNING';
    if (!runs) throw new WorkflowNotFoundError('workflow execution ended', id, undefined);
    this.sent.push(what);
    this.sentTo.push(id);
  }

  #start(type: string, options: FakeRun['options']) {
    if (this.runs.has(options.workflowId)) {
      throw new WorkflowExecutionAlreadyStartedError('already started', options.workflowId, type);
    }
    const deferred: { resolve: (result: RunResult) => void; reject: (error: Error) => void } = {
      resolve: () => {},
      reject: () => {},
    };
    const ended = new Promise<RunResult>((resolve, reject) => Object.assign(deferred, { resolve, reject }));
    ended.catch(() => {});
    const run: FakeRun = {
      type,
      options,
      started: new Date(),
      status: 'RUNNING',
      ended,
      end: (result) => {
        if (!(result instanceof Error)) {
          run.status = 'COMPLETED';
          deferred.resolve(result);
          return;
        }
        run.status = result instanceof CancelledFailure ? 'CANCELED' : 'FAILED';
        deferred.reject(new WorkflowFailedError('failed', result, RetryState.NON_RETRYABLE_FAILURE));
      },
    };
    this.runs.set(options.workflowId, run);
    this.onStart(run);
    return { firstExecutionRunId: 'execution-1' };
  }

  #describe(id: string) {
    const below = [...this.children.keys()].filter((child) => child.startsWith(`${id}/`));
    // Of a child's own children, the child tells.
    const pending = below.filter((child) => !below.some((other) => child.startsWith(`${other}/`)));
    const raw = {
      pendingChildren: pending.map((workflowId) => ({ workflowId })),
      pendingActivities: this.heartbeats.map((details) => ({
        heartbeatDetails: { payloads: [defaultPayloadConverter.toPayload(details)] },
      })),
    };
    if (this.children.has(id)) return { raw };
    const { type, status, started, closed, options } = this.#run(id);
    return {
      raw: { ...raw, ...(status === 'RUNNING' && !this.begun.has(id) && { pendingWorkflowTask: {} }) },
      type,
      runId: 'execution-1',
      status: { name: status },
      startTime: started,
      ...(status !== 'RUNNING' && { closeTime: closed ?? new Date() }),
      memo: JSON.parse(JSON.stringify(options.memo)) as Record<string, unknown>,
    };
  }
}

/** How the workflow fails: the code as the type, the stage table in the details. */
export const failure = (code: string, message: string, details: JsonObject): Error =>
  ApplicationFailure.create({ type: code, message, nonRetryable: true, details: [details] });

export const grpcError = (code: number, details: string): Error =>
  Object.assign(new Error(details), { code, details, metadata: {} });

function cancelled(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(grpcError(1, 'cancelled'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
