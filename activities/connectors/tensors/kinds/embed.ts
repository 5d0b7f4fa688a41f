import pMap from 'p-map';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Reply } from '../../connector.js';
import { cannotEmbed, embeddedKind, expectTexts, listedIn } from '../../embedded-items.js';
import { unitVector } from '../../unit-vector.js';
import type { BoundMap, BoundOutput } from '../bind.js';
import { wrongOutput } from '../encode.js';
import { answer, sourcesOf, type TensorKind } from '../kind.js';
import type { Numbers } from '../numbers.js';
import { needed, numbers, wholeOutput } from '../read.js';

/** Embedding of one text, image or sound, or of a list of them; dynamic batching joins those that arrive together. */
export const embed: TensorKind = {
  async invoke(call, context) {
    const { texts: _, items: __, ...one } = call.input;
    expectTexts(call.input);
    const listed = listedIn(call.input);
    if (!listed) {
      expectCarried(context.map, call.input, '');
      return single(call, context);
    }
    for (const { item, field } of listed) expectCarried(context.map, item, `${field}.`);
    const embedded = await pMap(listed, ({ item }) => single({ ...call, input: { ...one, ...item } }, context), {
      concurrency: AT_ONCE,
      signal: context.signal,
    });
    return { output: { embeddings: embedded.map(({ output }) => output.embedding ?? []) } };
  },
  example: { text: 'ok' },
};

/** Items of a list that are sent at once, for the server to batch. */
const AT_ONCE = 8;

/** Throws `CAPABILITY_MISSING` for what no input of the map carries: the request would lack it. */
function expectCarried({ inputs }: BoundMap, item: JsonObject, at: string): void {
  const kind = embeddedKind(item);
  // The whole input as JSON has the text.
  const carries = inputs.some(({ from }) => from === kind || (kind === 'text' && from === 'input'));
  if (kind === undefined || carries) return;
  throw cannotEmbed(`${at}${kind}`, `the pool’s tensor map has no input from "${kind}"`);
}

async function single(...[call, context]: Parameters<TensorKind['invoke']>): Promise<Reply> {
  const { outputs } = await answer(call, context, await sourcesOf(call, context));
  const whole = wholeOutput(context.map, outputs);
  if (whole) return { output: whole };
  const [bound, tensor] = needed(context.map, 'embedding', outputs);
  return { output: { embedding: unitVector(pooled(numbers(bound, tensor), tensor.shape, bound)) } };
}

/** One vector of a sentence's: [1, tokens, dimensions]. */
function pooled(values: Numbers, shape: readonly number[], { name, pooling }: BoundOutput): Numbers {
  const width = shape.at(-1) ?? 0;
  if (values.length === width || pooling === undefined || width === 0) {
    if (pooling === undefined && shape.length > 2 && values.length !== width) {
      throw wrongOutput(name, `a vector for each token, shape [${shape}]: give pooling`);
    }
    return values;
  }
  const count = values.length / width;
  const row = (i: number) => values.subarray(i * width, (i + 1) * width);
  if (pooling !== 'mean') return row(pooling === 'first' ? 0 : count - 1);
  return Float64Array.from({ length: width }, (_, i) => {
    let sum = 0;
    for (let at = i; at < values.length; at += width) sum += values[at] as number;
    return sum / count;
  });
}
