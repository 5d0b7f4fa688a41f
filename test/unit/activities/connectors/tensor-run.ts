import { noAudio } from '../../../../activities/connectors/contract/index.js';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Dtype } from '../../../../pipelines/media.js';
import { toWire } from '../../../../protocols/open-inference/any-tensor.js';
import type { Element } from '../../../../protocols/open-inference/elements.js';
import type { Tensor } from '../../../../protocols/open-inference/tensors.js';

export const wire = (name: string, dtype: Dtype, shape: number[], data: Element[]) =>
  toWire(name, { dtype, shape, data });
export const signal: AbortSignal = new AbortController().signal;
export const described = (name: string, datatype: string, shape: number[]) => ({ name, datatype, shape });

/** Runs a kind through a map against a model that is a function; what it was sent is kept. */
export async function run(
  kind: string,
  map: JsonObject,
  model: (inputs: ReadonlyMap<string, Tensor>) => Tensor[] | Tensor[][],
  { input = {}, options = {}, inputs = [] as ReturnType<typeof described>[] } = {},
) {
  const sent: ReadonlyMap<string, Tensor>[] = [];
  const emitted: unknown[] = [];
  const client: TensorClient = {
    async *responses(_, tensors) {
      const given = new Map(tensors.map((tensor) => [tensor.name, tensor]));
      sent.push(given);
      const answers = model(given);
      for (const outputs of Array.isArray(answers[0]) ? (answers as Tensor[][]) : [answers as Tensor[]]) {
        yield new Map(outputs.map((tensor) => [tensor.name, tensor]));
      }
    },
    tensors: async () => ({ inputs, outputs: [] }),
  };
  const models = new TensorModels(client, tensorMap(kind).parse(map));
  const { output } = await models.invoke(
    { kind, model: 'm', with: options, input },
    { signal, audio: noAudio, emit: (chunk) => void emitted.push(chunk), checkpoint: () => undefined },
    plainRequests(),
  );
  return { output, sent, emitted };
}
