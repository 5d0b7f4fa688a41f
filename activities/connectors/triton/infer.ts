import type { JsonObject } from '../../../pipelines/json.js';
import { type AnyTensor, fromWire, invalid, parametersOf, sizeOf } from '../../../protocols/open-inference/index.js';
import { checkOutput, type Formats, inputTensors } from './formats.js';
import { joined } from './join.js';
import type { KindHandler } from './kind-handler.js';
import { outputOf } from './outputs.js';
import { probeWithZeros } from './zeros.js';

/**
 * Most elements of all outputs together, the same limit as a stage's tensor schema: they are stored by value in the
 * run's history. A decoupled model that exceeds it is cancelled.
 */
const MOST_ELEMENTS = 100_000;

/**
 * Any model, by tensors: those of `with.inputs` are sent, those of `with.outputs` requested, each in the stated form.
 * Responses of a decoupled model are joined along the first dimension that its output's format leaves open. Each
 * response is emitted as the number of its elements.
 *
 * `with.parameters` are the protocol's request parameters. For a model with sequence batching they include
 * `sequence_id` (an integer above 0, or a text if the model's correlation ids are texts), `sequence_start` and
 * `sequence_end`.
 */
export const infer: KindHandler = {
  async invoke({ model, with: options, input }, { client, signal, emit }) {
    const { inputs, outputs, parameters } = options as unknown as InferWith;
    const sent = inputTensors(input, inputs);
    const requested = { outputs: Object.keys(outputs), parameters: parametersOf(parameters) };
    const parts = new Map<string, [AnyTensor, ...AnyTensor[]]>();
    let elements = 0;
    for await (const response of client.responses(model, sent, signal, requested)) {
      const before = elements;
      for (const [name, format] of Object.entries(outputs)) {
        const wire = response.get(name);
        if (!wire) continue;
        elements += sizeOf(wire.shape);
        if (elements > MOST_ELEMENTS)
          throw invalid(wire, `more than ${MOST_ELEMENTS} elements, the limit of tensors passed by value`);
        const tensor = fromWire(wire);
        checkOutput(name, format, tensor);
        const earlier = parts.get(name);
        if (earlier) earlier.push(tensor);
        else parts.set(name, [tensor]);
      }
      emit(elements - before);
    }
    const whole = Object.entries(outputs).map(([name, format]) => [name, joined(name, outputOf(parts, name), format)]);
    return { output: Object.fromEntries(whole) as JsonObject };
  },
  probe: probeWithZeros,
};

/** `with` of an `infer` stage. */
interface InferWith {
  readonly inputs: Formats;
  readonly outputs: Formats;
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
}
