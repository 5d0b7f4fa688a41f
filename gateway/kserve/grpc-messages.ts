import { parametersOf, type ReceivedInferRequest, textTensor } from '../../activities/open-inference/index.js';
import { answerParameters, FINAL } from './describe.js';
import type { InferAnswer } from './infer.js';
import { MODEL_VERSION, type ServedModel } from './models.js';

const named = ({ pipeline }: ServedModel, { id }: ReceivedInferRequest) => ({
  model_name: pipeline.name,
  model_version: MODEL_VERSION,
  id,
});

/** Says which request of a stream an error is about. */
export const requestNamed = ({ model_name, model_version, id }: ReceivedInferRequest) => ({
  model_name,
  model_version,
  id,
});

/** The whole answer to a request. */
export const finalResponse = (model: ServedModel, request: ReceivedInferRequest, answer: InferAnswer) => ({
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
  request: ReceivedInferRequest,
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
