import { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { PRIORITIES, type Priority } from '../../pipelines/plan/index.js';
import { type Attendance, followAttended, runAttended } from '../../runs/attended.js';
import type { RunDocument } from '../../runs/document.js';
import type { Followed } from '../../runs/follow.js';
import type { RunOptions } from '../../runs/options.js';
import type { Order } from '../../runs/order.js';
import { orderInput } from '../../runs/sent-input.js';
import type { StartedRun } from '../../runs/start.js';
import type { Caller } from '../access/caller.js';
import type { Persistence } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import type { HeldBody } from '../input/body-budget.js';
import { MediaIntake } from '../input/media-intake.js';
import type { ParameterValues } from './input-tensor.js';
import type { ServedModel } from './models.js';
import { type GivenTensors, readTensors } from './read-tensors.js';
import { expectOutputRates, type OutputTensor, writeTensors } from './write-tensors.js';

/** An inference request, independent of the protocol. */
export interface InferCall {
  readonly model: ServedModel;
  readonly caller: Caller;
  /** The request's share of the memory for bodies. */
  readonly held: HeldBody;
  readonly parameters: ParameterValues;
  readonly inputs: GivenTensors;
  /** The requested outputs with their parameters; empty: all outputs. */
  readonly outputs: ReadonlyMap<string, ParameterValues>;
  readonly idempotencyKey?: string | undefined;
  readonly persistence?: Persistence;
  /** Aborts when the client disconnects or its deadline expires. */
  readonly gone: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started: (run: StartedRun) => void;
  /** Counts bytes of the response before they are read. Throws `BODY_MEMORY_FULL`. */
  readonly take?: ((bytes: number) => void) | undefined;
}

export interface InferAnswer {
  readonly outputs: readonly OutputTensor[];
  readonly document: RunDocument;
}

/**
 * Runs a pipeline for a request and waits for its end. A caller of this protocol cannot fetch a result later: when it
 * disconnects, its run is cancelled, unless it has effects or the caller may send the request again (`onLeaveOf`).
 */
export async function infer(deps: GatewayDeps, call: InferCall): Promise<InferAnswer> {
  const order = await orderOf(deps, call);
  return await answerOf(deps, call, await runAttended(deps, order, attendanceOf(call)));
}

/** Like `infer`; the run’s events are passed to `onEvent` while it runs, each when the promise of the one before has resolved. */
export async function inferFollowed(
  deps: GatewayDeps,
  call: InferCall,
  onEvent: (event: Extract<Followed, { event: unknown }>['event']) => Promise<void>,
): Promise<InferAnswer> {
  const order = await orderOf(deps, call);
  const { events } = await followAttended(deps, order, attendanceOf(call));
  let document: RunDocument | undefined;
  for await (const each of events) {
    if ('document' in each) document = each.document;
    else await onEvent(each.event);
  }
  if (document === undefined) throw new MillraceError('INTERNAL', 'the run has ended without a document');
  return await answerOf(deps, call, document);
}

const attendanceOf = (call: InferCall): Attendance => ({
  gone: call.gone,
  waitMs: waitOf(call),
  started: call.started,
});

async function orderOf(deps: GatewayDeps, call: InferCall): Promise<Order> {
  const { model, caller, held, gone, parameters, inputs, idempotencyKey, persistence } = call;
  if (Number(parameters.sequence_id ?? 0) !== 0 || typeof parameters.sequence_id === 'string')
    throw invalidField('sequence_id', 'sequences are not supported: each request is a run of its own');
  const options = optionsOf(call);
  waitOf(call);
  expectOutputRates(parameters, call.outputs);
  const intake = new MediaIntake(deps.artifacts, { tenant: caller.tenant, held, gone }, deps.limits);
  const checked = await inputs.read((tensors) =>
    readTensors(model, tensors, { parameters, intake, maxJsonBytes: deps.limits.maxJsonBytes }),
  );
  // Where all are requested, the options name none.
  const asks = { ...options, outputs: [...call.outputs.keys()].sort() };
  const order = { pipeline: model.pipeline, caller, idempotencyKey, ...persistence, options, asks };
  return { ...order, ...orderInput(checked, order) };
}

function optionsOf({ model, outputs, parameters }: InferCall): RunOptions {
  const known = model.outputs.map(({ name }) => name);
  for (const [name, requested] of outputs) {
    if (!known.includes(name))
      throw invalidField(name, `the pipeline has no such output (it has: ${known.join(', ')})`);
    if (Number(requested.classification ?? 0) > 0)
      throw invalidField(name, 'classification of an output is not supported');
    if (requested.shared_memory_region !== undefined) throw invalidField(name, 'shared memory is not supported');
  }
  const names = [...outputs.keys()].sort();
  return {
    ...(names.length > 0 && names.length < known.length && { outputs: names }),
    ...(parameters.priority !== undefined && { priority: priorityOf(parameters.priority) }),
  };
}

/** The priority of a run: a name, or Triton's number, where 0 is the default and 1 the highest. */
function priorityOf(given: ParameterValues[string]): Priority {
  const found = PRIORITIES.find((priority) => priority === given);
  if (found) return found;
  if (given === 0) return 'default';
  if (typeof given === 'number' && given > 0) return given === 1 ? 'interactive' : 'default';
  throw invalidField('priority', `must be one of ${PRIORITIES.join(', ')}, or a number as in Triton, not ${given}`);
}

/** The longest wait for the run, in milliseconds; undefined for no limit. Triton's `timeout` is in microseconds. */
function waitOf({ parameters: { timeout } }: InferCall): number | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  if (typeof timeout !== 'number' || !Number.isInteger(timeout) || timeout < 0)
    throw invalidField('timeout', `must be a whole number of microseconds, not ${timeout}`);
  return Math.max(1, Math.ceil(timeout / 1_000));
}

async function answerOf(deps: GatewayDeps, call: InferCall, document: RunDocument): Promise<InferAnswer> {
  const { artifacts: store, encoder, limits } = deps;
  const outputs = await writeTensors(call.model.outputs, document.output as JsonObject, {
    store,
    encoder,
    tenant: call.caller.tenant,
    maxBytes: limits.maxAudioBytes,
    parameters: call.parameters,
    requested: call.outputs,
    signal: call.gone,
    take: call.take,
  });
  return { outputs, document };
}
