import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { Histogram } from 'prom-client';
import {
  inferenceService,
  invalidInput,
  type ReceivedInferRequest,
  valuesOf,
  withBytes,
} from '../../activities/open-inference/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Authenticator } from '../access/authenticator.js';
import { type Caller, idempotencyKeyOf } from '../access/caller.js';
import { readinessOf } from '../readiness.js';
import { deltaFields } from './deltas.js';
import { modelConfig, modelMetadata, repositoryIndex, serverMetadata } from './describe.js';
import type { Door } from './door.js';
import { GrpcCall } from './grpc-calls.js';
import { deltaResponse, finalResponse, requestNamed } from './grpc-messages.js';
import type { InferCall } from './infer.js';

export interface GrpcOptions {
  readonly authenticator: Authenticator;
  /** Millrace's release, for ServerMetadata. */
  readonly release: string;
  readonly host: string;
  readonly port: number;
}

/** How long running calls get to end when the server closes, in milliseconds. */
const DRAIN_MS = 5_000;

/** Seconds: metadata (1 ms) to a long run. */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

type Named = { readonly name: string; readonly version: string };

/** `inference.GRPCInferenceService` for the pipelines. */
export class GrpcServer {
  readonly #door: Door;
  readonly #options: GrpcOptions;
  readonly #server: Server;
  readonly #seconds: Histogram<'method' | 'code'>;

  constructor(door: Door, options: GrpcOptions) {
    const { deps } = door;
    this.#door = door;
    this.#options = options;
    const most = deps.limits.maxAudioBytes + deps.limits.maxJsonBytes;
    this.#server = new Server({ 'grpc.max_receive_message_length': most, 'grpc.max_send_message_length': -1 });
    this.#seconds = new Histogram({
      name: 'millrace_grpc_seconds',
      help: 'Time from a gRPC call’s arrival to its end',
      labelNames: ['method', 'code'] as const,
      buckets: SECONDS,
      registers: [deps.registry],
    });
    const { release } = options;
    const ready = async () => (await readinessOf(deps)).status !== 'unavailable';
    this.#server.addService(inferenceService, {
      ServerLive: this.#open(async () => ({ live: true })),
      ServerReady: this.#open(async () => ({ ready: await ready() })),
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
        model_stats: door.statisticsOf(name === '' ? door.all(caller) : [door.model(caller, name, version)]),
      })),
      RepositoryIndex: this.#unary('RepositoryIndex', async (_: object, caller) => ({
        models: repositoryIndex(door.all(caller)),
      })),
      ModelInfer: this.#unary('ModelInfer', async (request: ReceivedInferRequest, caller, call) => {
        const asked = this.#asked(request, caller, call);
        return finalResponse(asked.model, request, await door.infer(asked));
      }),
      ModelStreamInfer: (stream: ServerDuplexStream<ReceivedInferRequest, object>) => void this.#stream(stream),
    });
  }

  /** Throws when the port cannot be had. */
  async listen(): Promise<number> {
    const { host, port } = this.#options;
    return await new Promise((resolve, reject) => {
      const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
  }

  /** Lets running calls end, for a while. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, DRAIN_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #unary<Request, Response>(
    method: string,
    work: (request: Request, caller: Caller, call: GrpcCall) => Promise<Response>,
  ) {
    return (raw: ServerUnaryCall<Request, Response>, done: sendUnaryData<Response>): void => {
      const call = new GrpcCall(raw, method);
      call
        .authenticate(this.#options.authenticator)
        .then((caller) => work(raw.request, caller, call))
        .then(
          (response) => {
            call.ended(this.#door.deps, this.#seconds);
            done(null, response);
          },
          (error: unknown) => {
            const { known, status } = call.statusOf(error);
            call.ended(this.#door.deps, this.#seconds, error, known);
            done(status);
          },
        );
    };
  }

  /** For probes, which have no key and leave no trace. */
  #open<Response>(work: () => Promise<Response>) {
    return (_: ServerUnaryCall<object, Response>, done: sendUnaryData<Response>): void => {
      work().then(
        (response) => done(null, response),
        (error: Error) => done(error),
      );
    };
  }

  #asked(request: ReceivedInferRequest, caller: Caller, call: GrpcCall): InferCall {
    const model = this.#door.model(caller, request.model_name, request.model_version);
    const { inputs, outputs, raw_input_contents: raws } = request;
    if (raws.length > 0 && raws.length !== inputs.length) {
      const message = `raw_input_contents has ${raws.length} entries for ${inputs.length} inputs`;
      throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'raw_input_contents', message }] });
    }
    return {
      model,
      caller,
      parameters: valuesOf(request.parameters),
      inputs: withBytes(inputs, raws, invalidInput).map((tensor, i) => ({
        ...tensor,
        parameters: valuesOf(inputs[i]?.parameters ?? {}),
      })),
      outputs: new Map(outputs.map(({ name, parameters }) => [name, valuesOf(parameters)])),
      idempotencyKey: idempotencyKeyOf(call.headers as Record<string, string>),
      gone: call.gone,
      started: ({ id }) => {
        call.runId = id;
      },
    };
  }

  /**
   * Requests as they come, each a run of its own, beside each other; answers in the order in which they are ready, each with
   * its request's id. A request that fails is answered with `error_message` and ends no other.
   */
  async #stream(stream: ServerDuplexStream<ReceivedInferRequest, object>): Promise<void> {
    const call = new GrpcCall(stream, 'ModelStreamInfer');
    try {
      // Whoever may not call is told so by the stream's end; afterwards each request counts towards the caller's rate.
      await call.authenticate(this.#options.authenticator);
      await answerAll(stream, call.gone, (request) => this.#answer(stream, request, call));
      call.ended(this.#door.deps, this.#seconds);
      stream.end();
    } catch (error) {
      const { known, status } = call.statusOf(error);
      call.ended(this.#door.deps, this.#seconds, error, known);
      stream.emit('error', status);
    }
  }

  async #answer(
    stream: ServerDuplexStream<ReceivedInferRequest, object>,
    request: ReceivedInferRequest,
    call: GrpcCall,
  ): Promise<void> {
    const send = (response: object) => {
      if (!call.gone.aborted) stream.write(response);
    };
    try {
      const caller = await call.authenticate(this.#options.authenticator);
      const asked = this.#asked(request, caller, call);
      const fields = asked.parameters.deltas === true ? deltaFields(asked.model, asked.outputs) : undefined;
      const answer = await this.#door.infer(
        asked,
        fields &&
          ((event) => {
            const name = event.type === 'stage.delta' ? fields.get(event.path) : undefined;
            if (name !== undefined && event.type === 'stage.delta')
              send({ infer_response: deltaResponse(asked.model, request, { name, ...event }) });
          }),
      );
      send({ infer_response: finalResponse(asked.model, request, answer) });
    } catch (error) {
      const { status } = call.statusOf(error);
      send({ error_message: status.details, infer_response: requestNamed(request) });
    }
  }
}

/** Most runs of one stream at once: what else a client sends waits. */
const MOST_AT_ONCE = 64;

/** Answers every request of a stream. Resolves when the client has sent its last and all are answered. */
async function answerAll<Request>(
  stream: ServerDuplexStream<Request, object>,
  signal: AbortSignal,
  answer: (request: Request) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  // Not `for await`: leaving such a loop destroys the stream, whose answers are still to be written.
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

const gone = () => new MillraceError('REQUEST_ABORTED', 'the client left before its answer');
