import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

/*
 * The subset of TorchServe's gRPC inference API that Millrace uses, after release 0.12.0
 * (https://github.com/pytorch/serve, frontend/server/src/main/resources/proto/inference.proto). The file's Empty is
 * google.protobuf.Empty, which is the same on the wire.
 */

const unary = (request: string, response: string) => ({ requestType: request, responseType: response, comment: '' });

const PROTOCOL = {
  InferenceAPIsService: {
    methods: {
      Ping: unary('Empty', 'TorchServeHealthResponse'),
      Predictions: unary('PredictionsRequest', 'PredictionResponse'),
      StreamPredictions: { ...unary('PredictionsRequest', 'PredictionResponse'), responseStream: true },
    },
  },
  Empty: { fields: {} },
  PredictionsRequest: {
    fields: {
      model_name: { type: 'string', id: 1 },
      /** Empty: the model's default version. */
      model_version: { type: 'string', id: 2 },
      /** What a handler finds by these names in each item of its batch. */
      input: { keyType: 'string', type: 'bytes', id: 3 },
    },
  },
  PredictionResponse: { fields: { prediction: { type: 'bytes', id: 1 } } },
  /** The JSON of the answer to `GET /ping`. */
  TorchServeHealthResponse: { fields: { health: { type: 'string', id: 1 } } },
};

const PACKAGE = ['org', 'pytorch', 'serve', 'grpc', 'inference'];

const nested = PACKAGE.reduceRight<object>((inner, name) => ({ [name]: { nested: inner } }), PROTOCOL);

/** The service, for clients and for a server's `addService`. */
export const inferenceApis = fromJSON({ nested } as Parameters<typeof fromJSON>[0], { keepCase: true, defaults: true })[
  `${PACKAGE.join('.')}.InferenceAPIsService`
] as ServiceDefinition;

export interface PredictionsRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly input: Readonly<Record<string, Buffer>>;
}

export interface PredictionResponse {
  readonly prediction: Buffer;
}

export interface Health {
  readonly health: string;
}
