import type { ServiceDefinition } from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import {
  expectModestRequest,
  inferenceService,
  parametersOf,
  type ReceivedInferRequest,
  textTensor,
} from '../../protocols/open-inference/index.js';
import { answerParameters, FINAL } from './describe.js';
import type { InferAnswer } from './infer.js';
import { MODEL_VERSION, type ServedModel } from './models.js';

/** A message as it came. grpc-js keeps it until its call ends, so its bytes leave it when they are decoded. */
export class RawMessage {
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The message of a method. Throws `INVALID_INPUT`, for an inference request of too many parts before any is made. */
  decode<Message>(method: string): Message {
    const bytes = this.#bytes;
    this.#bytes = NOTHING;
    if (method === 'ModelInfer') expectModestRequest(bytes);
    try {
      return inferenceService[method]?.requestDeserialize(bytes) as Message;
    } catch (cause) {
      const message = 'it is no protobuf message of this protocol';
      const fields = [{ field: 'message', message }];
      throw new MillraceError('INVALID_INPUT', `the message: ${message}`, { fields }, { cause });
    }
  }
}

const NOTHING = Buffer.alloc(0);

/** The service whose methods get their messages as they came: they are decoded once their caller may have that done. */
export const rawService: ServiceDefinition = Object.fromEntries(
  Object.entries(inferenceService).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: (bytes: Buffer) => new RawMessage(bytes) },
  ]),
);

/** Which request an answer is to. */
export type RequestName = Pick<ReceivedInferRequest, 'model_name' | 'model_version' | 'id'>;

const named = ({ pipeline }: ServedModel, { id }: RequestName) => ({
  model_name: pipeline.name,
  model_version: MODEL_VERSION,
  id,
});

/** Says which request of a stream an error is about. */
export const requestNamed = ({ model_name, model_version, id }: RequestName): RequestName => ({
  model_name,
  model_version,
  id,
});

/** The whole answer to a request. */
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

/** More of an output's text, of a stage's attempt: when another attempt begins, the text of the one before does not count. */
export function deltaResponse(
  model: ServedModel,
  request: RequestName,
  { name, text, attempt }: { readonly name: string; readonly text: string; readonly attempt: number },
) {
  const { raw, ...tensor } = textTensor(name, [1], text);
  return {
    ...named(model, request),
    parameters: parametersOf({ delta: true, attempt, [FINAL]: false }),
    outputs: [tensor],
    raw_output_contents: [raw],
  };
}
