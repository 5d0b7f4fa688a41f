import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { PRIORITIES, type Priority } from '../../pipelines/plan/index.js';
import { cancelRun } from '../../runs/cancel.js';
import type { RunDocument } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import type { Followed } from '../../runs/follow.js';
import { launch, launchFollowed, type Order } from '../../runs/launch.js';
import type { RunOptions } from '../../runs/options.js';
import type { StartedRun } from '../../runs/start.js';
import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { MediaIntake } from '../input/media-intake.js';
import type { ParameterValues } from './input-tensor.js';
import type { ServedModel } from './models.js';
import { type GivenTensors, readTensors } from './read-tensors.js';
import { type OutputTensor, writeTensors } from './write-tensors.js';

/** An inference request, whichever protocol it came by. */
export interface InferCall {
  readonly model: ServedModel;
  readonly caller: Caller;
  readonly parameters: ParameterValues;
  readonly inputs: GivenTensors;
  /** The outputs asked for, with their parameters; none: all. */
  readonly outputs: ReadonlyMap<string, ParameterValues>;
  readonly idempotencyKey?: string | undefined;
  /** Aborts when the client has left or its deadline is over: its run is cancelled then. */
  readonly gone: AbortSignal;
  /** Called as soon as there is a run. */
  readonly started: (run: StartedRun) => void;
}

export interface InferAnswer {
  readonly outputs: readonly OutputTensor[];
  readonly document: RunDocument;
}

/** Beyond the plan's deadline: what Temporal itself ends a run after, and its answer. */
const GRACE_MS = 35_000;

/**
 * Runs a pipeline for a request and waits for its end. A caller of this protocol has no way to come back for a result, so
 * a run that nobody waits for any more is cancelled.
 */
export async function infer(deps: GatewayDeps, call: InferCall): Promise<InferAnswer> {
  const order = await orderOf(deps, call);
  const waitMs = waitOf(call);
  const { run, document } = await launch(deps, order, { waitMs, gone: call.gone, started: call.started });
  return await answerOf(deps, call, run, document);
}

/** The same; what the run does comes to `onEvent` as it goes. */
export async function inferFollowed(
  deps: GatewayDeps,
  call: InferCall,
  onEvent: (event: Extract<Followed, { event: unknown }>['event']) => void,
): Promise<InferAnswer> {
  const order = await orderOf(deps, call);
  const over = new AbortController();
  const stop = () => over.abort();
  const timer = setTimeout(stop, waitOf(call));
  if (call.gone.aborted) stop();
  call.gone.addEventListener('abort', stop, { once: true });
  try {
    const { run, events } = await launchFollowed(deps, order, over.signal);
    call.started(run);
    let document: RunDocument | undefined;
    for await (const each of events) {
      if ('document' in each) document = each.document;
      else onEvent(each.event);
    }
    return await answerOf(deps, call, run, document);
  } finally {
    clearTimeout(timer);
    call.gone.removeEventListener('abort', stop);
  }
}

async function orderOf(deps: GatewayDeps, call: InferCall): Promise<Order> {
  const { model, caller, parameters, inputs, idempotencyKey } = call;
  if (Number(parameters.sequence_id ?? 0) !== 0 || typeof parameters.sequence_id === 'string')
    throw invalid('sequence_id', 'pipelines keep no sequences: each request is a run of its own');
  const options = optionsOf(call);
  waitOf(call);
  const intake = new MediaIntake(deps.artifacts, caller.tenant, deps.limits.maxAudioBytes);
  const input = await inputs.read((tensors) => readTensors(model, tensors, parameters, intake));
  return { pipeline: model.pipeline, caller, input, idempotencyKey, options };
}

function optionsOf({ model, outputs, parameters }: InferCall): RunOptions {
  const known = model.outputs.map(({ name }) => name);
  for (const [name, asked] of outputs) {
    if (!known.includes(name)) throw invalid(name, `the pipeline has no such output (it has: ${known.join(', ')})`);
    if (Number(asked.classification ?? 0) > 0) throw invalid(name, 'classification of an output is not supported');
    if (asked.shared_memory_region !== undefined) throw invalid(name, 'shared memory is not supported');
  }
  const names = [...outputs.keys()].sort();
  return {
    ...(names.length > 0 && names.length < known.length && { outputs: names }),
    ...(parameters.priority !== undefined && { priority: priorityOf(parameters.priority) }),
  };
}

/** Triton's `priority` is a number, 0 for the default and 1 for the highest; ours has names. */
function priorityOf(given: ParameterValues[string]): Priority {
  const found = PRIORITIES.find((priority) => priority === given);
  if (found) return found;
  if (given === 0) return 'default';
  if (typeof given === 'number' && given > 0) return given === 1 ? 'interactive' : 'default';
  throw invalid('priority', `must be one of ${PRIORITIES.join(', ')}, or a number as Triton has it, not ${given}`);
}

/** How long the answer is waited for, in milliseconds: Triton's `timeout` is in microseconds. */
function waitOf({ model, parameters }: InferCall): number {
  const longest = model.pipeline.plan.deadlineMs + GRACE_MS;
  const { timeout } = parameters;
  if (timeout === undefined || timeout === 0) return longest;
  if (typeof timeout !== 'number' || !Number.isInteger(timeout) || timeout < 0)
    throw invalid('timeout', `must be a whole number of microseconds, not ${timeout}`);
  return Math.min(longest, Math.max(1, Math.ceil(timeout / 1_000)));
}

async function answerOf(
  deps: GatewayDeps,
  call: InferCall,
  run: StartedRun,
  document: RunDocument | undefined,
): Promise<InferAnswer> {
  if (document === undefined || document.status === 'running') {
    // A run that was there before is somebody else's as well.
    if (!run.replayed) await giveUp(deps, run.id);
    if (call.gone.aborted) throw new MillraceError('REQUEST_ABORTED', 'the client left before the run had ended');
    throw new MillraceError('DEADLINE_EXCEEDED', 'the run did not end within the time given');
  }
  if (document.status !== 'succeeded') throw failureOf(document);
  const { artifacts: store, limits } = deps;
  const outputs = await writeTensors(call.model.outputs, document.output as JsonObject, {
    store,
    tenant: call.caller.tenant,
    maxBytes: limits.maxAudioBytes,
    parameters: call.parameters,
    asked: call.outputs,
    signal: call.gone,
  });
  return { outputs, document };
}

async function giveUp(deps: GatewayDeps, runId: string): Promise<void> {
  try {
    await cancelRun(deps, runId);
  } catch (error) {
    deps.logger.warn({ runId, err: error }, 'a run that nobody waits for cannot be cancelled');
  }
}

const invalid = (field: string, message: string) =>
  new MillraceError('INVALID_INPUT', `${field}: ${message}`, { fields: [{ field, message }] });
