import type { ServiceDefinition } from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import {
  expectModestRequest,
  inferenceService,
  parametersOf,
  type ReceivedInferRequest,
} from '../../protocols/open-inference/index.js';
import type { Delta } from './deltas.js';
import { answerParameters, FINAL } from './describe.js';
import type { InferAnswer } from './infer.js';
import { MODEL_VERSION, type ServedModel } from './models.js';

/** An encoded message. grpc-js keeps it until its call ends, so decoding removes the bytes from it. */
export class RawMessage {
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /**
   * Decodes the message of a method. Throws `INVALID_INPUT`; for an inference request with too many parts before
   * decoding.
   */
  decode<Message>(method: string): Message {
    const bytes = this.#bytes;
    this.#bytes = NOTHING;
    if (method === 'ModelInfer') expectModestRequest(bytes);
    try {
      return inferenceService[method]?.requestDeserialize(bytes) as Message;
    } catch (cause) {
      const message = 'it is not a protobuf message of this protocol';
      const fields = [{ field: 'message', message }];
      throw new MillraceError('INVALID_INPUT', `the message: ${message}`, { fields }, { cause });
    }
  }
}

const NOTHING = Buffer.alloc(0);

/** The service with encoded messages: they are decoded after the caller is authorized. */
export const rawService: ServiceDefinition = Object.fromEntries(
  Object.entries(inferenceService).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: (bytes: Buffer) => new RawMessage(bytes) },
  ]),
);

/** Identifies the request that a response belongs to. */
export type RequestName = Pick<ReceivedInferRequest, 'model_name' | 'model_version' | 'id'>;

const named = ({ pipeline }: ServedModel, { id }: RequestName) => ({
  model_name: pipeline.name,
  model_version: MODEL_VERSION,
  id,
});

/** The names of a stream's request, for its errors. */
export const requestNamed = ({ model_name, model_version, id }: RequestName): RequestName => ({
  model_name,
  model_version,
  id,
});

/** The complete response to a request. */
export const finalResponse = (model: ServedModel, request: RequestName, answer: InferAnswer) => ({
  ...named(model, request),
  parameters: parametersOf(answerParameters(answer.document)),
  outputs: answer.outputs.map(({ name, datatype, shape, parameters }) => ({
    name,
    datatype,
    shape,
    parameters: parametersOf(parameters),
  })),
  raw_output_contents: answer.outputs.map(({ raw }) => raw),
});

/**
 * A piece of an output while its run goes on. Text has the attempt of its stage: a new attempt replaces the text of the previous one. Audio
 * has its number and what is spoken: no piece is void.
 */
export function deltaResponse(model: ServedModel, request: RequestName, { tensor, parameters }: Delta) {
  const { name, datatype, shape, raw } = tensor;
  return {
    ...named(model, request),
    parameters: parametersOf({ delta: true, ...parameters, [FINAL]: false }),
    outputs: [{ name, datatype, shape, parameters: parametersOf(tensor.parameters) }],
    raw_output_contents: [raw],
  };
}
