import type { Client, Metadata, ServiceError } from '@grpc/grpc-js';
import type { MillraceError } from '../../../pipelines/errors.js';
import type { Answer, Transport } from '../exchange.js';
import { setHeaders } from '../grpc/link.js';
import { answerOf } from './answers.js';
import { type Health, inferenceApis, type PredictionResponse, type PredictionsRequest } from './protocol.js';

export interface TransportOptions {
  /** Of every call: headers of the pool. */
  readonly metadata: Metadata;
  /** Whether predictions arrive in parts. TorchServe never ends such a call of a handler that sends no parts. */
  readonly streams: boolean;
  /** The error of an answer that fails after its first part. */
  readonly failure: (answer: Answer) => MillraceError;
}

/** What a call needs besides its request. */
interface About {
  readonly client: Client;
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
}

/**
 * TorchServe's REST requests as calls of its gRPC API: `POST /predictions/MODEL/VERSION` is `Predictions` or
 * `StreamPredictions`, everything else a `Ping`. The body is the input `data`, which handlers look for beside the `body`
 * that REST gives them; headers become metadata.
 */
export const torchServeTransport =
  (client: Client, { metadata, streams, failure }: TransportOptions): Transport =>
  async (url, { method, headers, body, signal }) => {
    const about = {
      client,
      metadata: withHeaders(metadata, new Headers(headers)),
      signal: signal ?? new AbortController().signal,
    };
    const [, model, version = ''] = /^\/predictions\/([^/]+)(?:\/([^/]+))?$/.exec(new URL(url).pathname) ?? [];
    if (method !== 'POST' || model === undefined) {
      return answered(async () => (await called<Health>('Ping', {}, about)).health, 'application/json');
    }
    const request: PredictionsRequest = {
      model_name: decodeURIComponent(model),
      model_version: decodeURIComponent(version),
      input: { data: bytesOf(body) },
    };
    if (streams) return streamed(request, about, failure);
    return answered(async () => (await called<PredictionResponse>('Predictions', request, about)).prediction);
  };

/** Headers that mean nothing without HTTP. */
const OF_HTTP: ReadonlySet<string> = new Set(['accept', 'content-type', 'content-length', 'host', 'connection']);

function withHeaders(metadata: Metadata, headers: Headers): Metadata {
  const all = metadata.clone();
  setHeaders(
    all,
    [...headers].filter(([name]) => !OF_HTTP.has(name)),
  );
  return all;
}

function bytesOf(body: RequestInit['body']): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.alloc(0);
}

/** The answer that a call gives, or that its failure stands for. Neither says of what type its body is, unless `type` does. */
async function answered(call: () => Promise<string | Buffer>, type?: string): Promise<Response> {
  try {
    const body = await call();
    const bytes = Uint8Array.from(typeof body === 'string' ? Buffer.from(body) : body);
    return new Response(bytes, type === undefined ? {} : { headers: { 'content-type': type } });
  } catch (error) {
    return failed(error);
  }
}

/** Throws what is no answer of the server. */
function failed(error: unknown): Response {
  if (!isServiceError(error)) throw error;
  const { status, headers, body } = answerOf(error);
  return new Response(Uint8Array.from(body), { status, headers });
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error;

function called<T>(name: 'Ping' | 'Predictions', request: object, about: About): Promise<T> {
  const { client, metadata, signal } = about;
  const { path, requestSerialize, responseDeserialize } = methodOf(name);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const cancel = () => {
      call.cancel();
      reject(signal.reason);
    };
    const call = client.makeUnaryRequest<object, T>(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      (error, response) => {
        signal.removeEventListener('abort', cancel);
        if (error) reject(error);
        else resolve(response as T);
      },
    );
    signal.addEventListener('abort', cancel, { once: true });
  });
}

/** The parts of a prediction as the body of an answer, which is there with the first part. */
async function streamed(
  request: PredictionsRequest,
  { client, metadata, signal }: About,
  failure: TransportOptions['failure'],
): Promise<Response> {
  signal.throwIfAborted();
  const { path, requestSerialize, responseDeserialize } = methodOf('StreamPredictions');
  const call = client.makeServerStreamRequest<object, PredictionResponse>(
    path,
    requestSerialize,
    responseDeserialize as (bytes: Buffer) => PredictionResponse,
    request,
    metadata,
  );
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  call.on('status', () => signal.removeEventListener('abort', cancel));
  // A cancelled call reports its end after the last reader has gone.
  call.on('error', () => undefined);
  const parts: AsyncIterator<PredictionResponse> = call[Symbol.asyncIterator]();
  let next: IteratorResult<PredictionResponse>;
  try {
    next = await parts.next();
  } catch (error) {
    signal.throwIfAborted();
    return failed(error);
  }
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        if (next.done) return controller.close();
        controller.enqueue(Uint8Array.from(next.value.prediction));
        next = await parts.next();
      } catch (error) {
        controller.error(isServiceError(error) ? failure(answerOf(error)) : error);
      }
    },
    cancel,
  });
  return new Response(body);
}

const methodOf = (name: string) => inferenceApis[name] as (typeof inferenceApis)[string];
