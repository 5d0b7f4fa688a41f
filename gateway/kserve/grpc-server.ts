import { Server, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { Histogram } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import {
  badInput,
  invalidInput,
  type ReceivedInferRequest,
  valuesOf,
  withBytes,
} from '../../protocols/open-inference/index.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import type { Authenticator } from '../access/authenticator.js';
import { type Caller, idempotencyKeyOf, requirePermission } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayLimits } from '../deps.js';
import { KEEP_ALIVE_MS } from '../http/connections.js';
import type { ResponseMemory } from '../http/response-memory.js';
import { type BodyBudget, MOST_INPUT_BYTES } from '../input/body-budget.js';
import { furtherKey } from '../openai/several-runs.js';
import { Deltas } from './deltas.js';
import { modelConfig, modelMetadata, repositoryIndex, serverMetadata } from './describe.js';
import type { Door } from './door.js';
import { GrpcArrivals, type MethodRules, MOST_QUESTION_BYTES } from './grpc-arrivals.js';
import { costOf } from './grpc-body.js';
import type { GrpcCall } from './grpc-calls.js';
import { GrpcListener } from './grpc-listener.js';
import {
  deltaResponse,
  finalResponse,
  type RawMessage,
  type RequestName,
  rawService,
  requestNamed,
} from './grpc-messages.js';
import { GrpcSending } from './grpc-sending.js';
import type { InferCall } from './infer.js';
import { GivenTensors } from './read-tensors.js';

export interface GrpcOptions {
  readonly authenticator: Authenticator;
  readonly bodies: BodyBudget;
  readonly responses: ResponseMemory;
  /** Millrace's release, for ServerMetadata. */
  readonly release: string;
  readonly host: string;
  readonly port: number;
}

/** Most concurrent calls of a connection; load generators keep dozens open. Clients queue further ones. */
const MOST_CALLS = 256;
/**
 * A connection with calls that is idle for this long gets a ping, and is closed without a reply in time, in
 * milliseconds: the runs of a client that has vanished are cancelled.
 */
const PING_MS = 60_000;
const PONG_MS = 20_000;

/** How long running calls may take to finish at shutdown, in milliseconds. */
const DRAIN_MS = 5_000;

/** In seconds: from metadata (1 ms) to a long run. */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

type Named = { readonly name: string; readonly version: string };

interface Reading {
  readonly before?: number;
  readonly named: (name: RequestName) => void;
  readonly left: () => void;
  readonly take: (bytes: number) => void;
}

/** `inference.GRPCInferenceService` for the pipelines. */
export class GrpcServer {
  readonly #door: Door;
  readonly #options: GrpcOptions;
  readonly #arrivals: GrpcArrivals;
  readonly #listener: GrpcListener;
  readonly #seconds: Histogram<'method' | 'code'>;

  constructor(door: Door, options: GrpcOptions) {
    const { deps } = door;
    const { limits } = deps;
    this.#door = door;
    this.#options = options;
    const ready = async () => (await deps.ready.now()).status !== 'unavailable';
    this.#arrivals = new GrpcArrivals({
      authenticator: options.authenticator,
      open: { ServerLive: async () => ({ live: true }), ServerReady: async () => ({ ready: await ready() }) },
      bodies: options.bodies,
      responses: options.responses,
      stalledMs: limits.stalledMs,
      methods: methodsOf(limits),
      receiveMs: limits.uploadTimeoutMs,
      refused: (call, error) => this.#failed(call, error),
    });
    const server = new Server({
      // Limited by `GrpcBody` instead, per method.
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': MOST_CALLS,
      'grpc.max_connection_idle_ms': KEEP_ALIVE_MS,
      'grpc.keepalive_time_ms': PING_MS,
      'grpc.keepalive_timeout_ms': PONG_MS,
      interceptors: [this.#arrivals.interceptor],
    });
    this.#listener = new GrpcListener(server, limits, new RationedWarnings(deps.logger));
    this.#seconds = new Histogram({
      name: 'millrace_grpc_seconds',
      help: 'Time from a gRPC call’s arrival to its end',
      labelNames: ['method', 'code'] as const,
      buckets: SECONDS,
      registers: [deps.registry],
    });
    const { release } = options;
    server.addService(rawService, {
      // Answered on arrival.
      ServerLive: () => undefined,
      ServerReady: () => undefined,
      ServerMetadata: this.#unary('ServerMetadata', async () => serverMetadata(release)),
      ModelReady: this.#unary('ModelReady', async ({ name, version }: Named, caller) => {
        door.model(caller, name, version);
        return { ready: await ready() };
      }),
      ModelMetadata: this.#unary('ModelMetadata', async ({ name, version }: Named, caller) =>
        modelMetadata(door.model(caller, name, version)),
      ),
      ModelConfig: this.#unary('ModelConfig', async ({ name, version }: Named, caller) => ({
        config: modelConfig(door.model(caller, name, version)),
      })),
      ModelStatistics: this.#unary('ModelStatistics', async ({ name, version }: Named, caller) => ({
        model_stats: door.statisticsOf(caller, name === '' ? door.all(caller) : [door.model(caller, name, version)]),
      })),
      RepositoryIndex: this.#unary('RepositoryIndex', async (_: object, caller) => ({
        models: repositoryIndex(door.all(caller)),
      })),
      ModelInfer: this.#answered(async (message, caller, call) => {
        let request = NO_NAME;
        const inference = this.#readRequest(message, caller, call, {
          named: (name) => {
            request = name;
          },
          left: () => call.held.keep(MOST_INPUT_BYTES),
          take: (bytes) => call.response.take(bytes),
        });
        return finalResponse(inference.model, request, await door.infer(inference));
      }),
      ModelStreamInfer: (stream: ServerDuplexStream<RawMessage, object>) => void this.#stream(stream),
    });
  }

  /** Throws if the port is not available. */
  async listen(): Promise<number> {
    const { host, port } = this.#options;
    return await this.#listener.listen(host, port);
  }

  /** Waits up to `DRAIN_MS` for running calls. */
  close(): Promise<void> {
    return this.#listener.close(DRAIN_MS);
  }

  #failed(call: GrpcCall, error: unknown) {
    const { known, status } = call.statusOf(error);
    call.ended(this.#door.deps, this.#seconds, error, known);
    return status;
  }

  #unary<Request, Response>(method: string, work: (request: Request, caller: Caller) => Promise<Response>) {
    return this.#answered((message, caller) => work(message.decode<Request>(method), caller));
  }

  #answered<Response>(work: (message: RawMessage, caller: Caller, call: GrpcCall) => Promise<Response>) {
    return (raw: ServerUnaryCall<RawMessage, Response>, done: sendUnaryData<Response>): void => {
      const call = this.#arrivals.of(raw.metadata);
      Promise.resolve(raw.request)
        .then((message) => work(message, call.caller, call))
        .then(
          (response) => {
            call.ended(this.#door.deps, this.#seconds);
            done(null, response);
          },
          (error: unknown) => done(this.#failed(call, error)),
        );
    };
  }

  /**
   * Reads an inference request.
   * @param before how many requests of its stream came before it; each has an idempotency key of its own
   * @param named called with the request's names
   * @param left called when the message is no longer kept
   * @param take counts bytes of the response
   */
  #readRequest(
    message: RawMessage,
    caller: Caller,
    call: GrpcCall,
    { before = 0, named, left, take }: Reading,
  ): InferCall {
    const request = message.decode<ReceivedInferRequest>('ModelInfer');
    named(requestNamed(request));
    const model = this.#door.model(caller, request.model_name, request.model_version);
    const { inputs, outputs, raw_input_contents: raws } = request;
    // Such a tensor has no bytes in the message, which would be told of instead.
    const shared = inputs.find(({ parameters }) => parameters.shared_memory_region !== undefined);
    if (shared) throw badInput(shared.name, 'shared memory is not supported');
    if (raws.length > 0 && raws.length !== inputs.length) {
      const message = `raw_input_contents has ${raws.length} entries for ${inputs.length} inputs`;
      throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'raw_input_contents', message }] });
    }
    const tensors = withBytes(inputs, raws, invalidInput).map((tensor, i) => ({
      ...tensor,
      parameters: valuesOf(inputs[i]?.parameters ?? {}),
    }));
    return {
      model,
      caller,
      held: call.held,
      parameters: valuesOf(request.parameters),
      inputs: new GivenTensors(tensors, left),
      outputs: new Map(outputs.map(({ name, parameters }) => [name, valuesOf(parameters)])),
      idempotencyKey: furtherKey(idempotencyKeyOf(call.headers as Record<string, string>), before),
      // Clients of gRPC count retries only: a first request says nothing.
      persistence: { retry: 0, ...persistenceOf(call.headers as Record<string, string>) },
      gone: call.gone,
      take,
      started: ({ id }) => {
        call.runId = id;
      },
    };
  }

  /**
   * Runs the requests of a stream concurrently, each as a run of its own; responses are sent in order of completion,
   * each with its request's id. A failed request gets an `error_message` and does not affect the others.
   */
  async #stream(stream: ServerDuplexStream<RawMessage, object>): Promise<void> {
    const call = this.#arrivals.of(stream.metadata);
    try {
      const sending = new GrpcSending(stream, call.gone);
      let before = 0;
      await answerAll(stream, call.gone, (message) => this.#answer(sending, message, call, before++));
      call.ended(this.#door.deps, this.#seconds);
      stream.end();
    } catch (error) {
      stream.emit('error', this.#failed(call, error));
    }
  }

  /** @param before how many requests of the stream came before this one */
  async #answer(sending: GrpcSending, message: RawMessage, call: GrpcCall, before: number): Promise<void> {
    let held = costOf(message.length);
    const keep = (bytes: number) => {
      const kept = Math.min(held, bytes);
      call.held.give(held - kept);
      held = kept;
    };
    let request: RequestName = NO_NAME;
    const response = this.#options.responses.open(call.caller.tenant);
    try {
      // The first request was counted when the call arrived; its key is verified again, since it may have come long after.
      const caller = await call.authenticate(this.#options.authenticator, before === 0 ? 0 : 1);
      requirePermission(caller, 'run');
      const inference = this.#readRequest(message, caller, call, {
        before,
        named: (name) => {
          request = name;
        },
        left: () => keep(MOST_INPUT_BYTES),
        take: (bytes) => response.take(bytes),
      });
      const deltas = inference.parameters.deltas === true ? new Deltas(this.#door.deps, inference) : undefined;
      const answer = await this.#door.infer(
        inference,
        deltas &&
          (async (event) => {
            for (const delta of await deltas.of(event)) {
              await sending.send({ infer_response: deltaResponse(inference.model, request, delta) });
              response.give(delta.tensor.raw.length);
            }
          }),
      );
      await sending.send({ infer_response: finalResponse(inference.model, request, answer) });
    } catch (error) {
      const { status } = call.statusOf(error);
      await sending.send({ error_message: status.details, infer_response: request });
    } finally {
      keep(0);
      response.release();
    }
  }
}

const NO_NAME: RequestName = { model_name: '', model_version: '', id: '' };

/** The permissions and message limits of the methods. */
function methodsOf({ maxAudioBytes, maxJsonBytes }: GatewayLimits): Record<string, MethodRules> {
  const readOnly: MethodRules = { permissions: ['read'], most: MOST_QUESTION_BYTES };
  const runs: MethodRules = { permissions: ['read', 'run'], most: maxAudioBytes + maxJsonBytes };
  return {
    ServerMetadata: { ...readOnly, permissions: [] },
    ModelReady: readOnly,
    ModelMetadata: readOnly,
    ModelConfig: readOnly,
    ModelStatistics: readOnly,
    RepositoryIndex: readOnly,
    ModelInfer: runs,
    ModelStreamInfer: runs,
  };
}

/** Most concurrent runs of a stream; further requests wait. */
const MOST_AT_ONCE = 64;

/** Responds to every request of a stream. Resolves when the client has sent its last request and all have responses. */
async function answerAll<Request>(
  stream: ServerDuplexStream<Request, object>,
  signal: AbortSignal,
  answer: (request: Request) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  // Not `for await`: leaving such a loop destroys the stream, which is still needed for the responses.
  await new Promise<void>((resolve, reject) => {
    stream.on('data', (request: Request) => {
      const answered: Promise<void> = answer(request).finally(() => {
        running.delete(answered);
        stream.resume();
      });
      running.add(answered);
      if (running.size >= MOST_AT_ONCE) stream.pause();
    });
    stream.on('end', resolve);
    signal.addEventListener('abort', () => reject(gone()), { once: true });
  });
  await Promise.all(running);
}

const gone = () => new MillraceError('REQUEST_ABORTED', 'the client disconnected before its response');
