import { type Metadata, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import {
  type Health,
  inferenceApis,
  type PredictionResponse,
  type PredictionsRequest,
} from '../../../../../activities/connectors/torchserve-grpc/protocol.js';

/** A prediction, the parts of one, or how a call fails. */
export type Predicted = string | readonly (string | Failure)[] | Failure;
export type Failure = Partial<ServiceError>;

export interface GrpcFixture {
  /** `host:port` */
  readonly address: string;
  readonly asked: { readonly request: PredictionsRequest; readonly metadata: Metadata }[];
  close(): void;
}

/** As TorchServe 0.12.0 fails: its Java exception is in a line of its own. */
export const failing = (code: status, message: string, exception: string): Failure => ({
  code,
  details: `${message}\n${exception}`,
});

export const TOKEN = 'token-of-the-fixture';
export const WRONG_TOKEN: Failure = {
  code: status.PERMISSION_DENIED,
  details: 'Token Authorization failed. Token either incorrect, expired, or not provided correctly',
};

/**
 * TorchServe's gRPC inference API, on a port of its own.
 * @param predict undefined: nothing is ever answered
 */
export async function grpcFixture(predict: (text: string) => Predicted | undefined): Promise<GrpcFixture> {
  const asked: GrpcFixture['asked'] = [];
  const wrong = (request: PredictionsRequest, metadata: Metadata): Failure | undefined => {
    asked.push({ request, metadata });
    if (metadata.get('authorization')[0] !== `Bearer ${TOKEN}`) return WRONG_TOKEN;
    if (request.model_name === 'model') return undefined;
    const message = `Model not found: ${request.model_name}`;
    return failing(status.INTERNAL, message, 'org.pytorch.serve.archive.model.ModelNotFoundException');
  };
  const said = ({ input }: PredictionsRequest) => predict(input.data?.toString() ?? '');
  const part = (text: string): PredictionResponse => ({ prediction: Buffer.from(text) });
  const server = new Server();
  server.addService(inferenceApis, {
    Ping(_: unknown, done: (error: null, health: Health) => void) {
      done(null, { health: JSON.stringify({ status: 'Healthy' }) });
    },
    Predictions(
      { request, metadata }: { request: PredictionsRequest; metadata: Metadata },
      done: (error: Failure | null, response?: PredictionResponse) => void,
    ) {
      const answer = wrong(request, metadata) ?? said(request);
      if (typeof answer === 'string') done(null, part(answer));
      else if (answer !== undefined) done(answer as Failure);
    },
    async StreamPredictions(call: {
      request: PredictionsRequest;
      metadata: Metadata;
      write(response: PredictionResponse): void;
      emit(name: 'error', error: Failure): void;
      end(): void;
    }) {
      const answer = wrong(call.request, call.metadata) ?? said(call.request);
      if (answer === undefined) return;
      for (const each of Array.isArray(answer) ? answer : [answer]) {
        if (typeof each !== 'string') return call.emit('error', each as Failure);
        call.write(part(each));
        // Each arrives alone.
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
      call.end();
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { address: `127.0.0.1:${port}`, asked, close: () => server.forceShutdown() };
}
