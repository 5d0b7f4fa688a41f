import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Call, Reply } from '../../connector.js';
import { labelled } from '../../scores.js';
import { activated } from '../activation.js';
import type { BoundOutput } from '../bind.js';
import { wrongOutput } from '../encode.js';
import { answer, type Response, sourcesOf, type TensorContext, type TensorKind } from '../kind.js';
import { found, needed, numbers, texts, wholeOutput } from '../read.js';
import { inRows } from '../rows.js';

/**
 * Classification of one text, image or sound, or of two texts: the label with the highest score, the first of equals.
 * Scores are in the order of the map's labels, else of the stage's. The pairs of a call that has several go in one request,
 * a row each, where the model's tensors have room for that.
 */
export const classify: TensorKind = {
  invoke: (call, context) =>
    inRows(call, context, {
      fields: { text: 'text', textPair: 'textPair' },
      one,
      outputOf: (outputs, rows) => ({ results: scored(context, outputs, labelsOf(call), rows) }),
    }),
  example: { text: 'ok', textPair: 'ok' },
};

async function one(call: Call, context: TensorContext): Promise<Reply> {
  expectPair(call, context);
  const { outputs } = await answer(call, context, await sourcesOf(call, context));
  const whole = wholeOutput(context.map, outputs);
  if (whole) return { output: whole };
  const labels = labelsOf(call);
  const label = found(context.map, 'label', outputs);
  if (label && !context.map.outputs.has('scores')) return { output: chosen(context, outputs, labels) };
  const [output] = scored(context, outputs, labels, 1);
  return { output: output as JsonObject };
}

/** A map that carries the first text alone would ignore the second one. */
function expectPair({ input }: Call, { map }: TensorContext): void {
  if (input.textPair === undefined || map.inputs.some(({ from }) => from === 'textPair' || from === 'input')) return;
  const message = 'no input of the pool’s tensor map is from "textPair": the second text would be ignored';
  throw new MillraceError('CAPABILITY_MISSING', message);
}

const labelsOf = (call: Call) => call.with.labels as readonly string[];

/** The output of each row. */
function scored(
  { map }: TensorContext,
  outputs: Response['outputs'],
  labels: readonly string[],
  rows: number,
): JsonObject[] {
  const [bound, tensor] = needed(map, 'scores', outputs);
  const logits = numbers(bound, tensor);
  const own = bound.labels ?? labels.filter((label) => label !== bound.otherwise);
  if (logits.length !== rows * own.length) {
    const of = rows > 1 ? ` of each of ${rows} pairs` : '';
    const known = own.slice(0, 20).join(', ');
    throw wrongOutput(bound.name, `${logits.length} scores for ${own.length} labels (${known})${of}`);
  }
  const scores = activated(logits, bound.activation, own.length);
  return Array.from({ length: rows }, (_, row) => {
    const named = new Map(own.map((label, i) => [label, scores[row * own.length + i] as number]));
    return withOtherwise(labelled([...ofStage(bound, named, labels).values()], labels), bound);
  });
}

/** The scores of the stage's labels, in their order; one that the model does not know is a mistake of the author's. */
function ofStage({ name, otherwise }: BoundOutput, named: ReadonlyMap<string, number>, labels: readonly string[]) {
  return new Map(
    labels.map((label) => {
      const score = named.get(label) ?? (label === otherwise ? 0 : undefined);
      if (score === undefined)
        throw wrongOutput(
          name,
          `the model has no label "${label}" (it has: ${[...named.keys()].slice(0, 20).join(', ')})`,
        );
      return [label, score];
    }),
  );
}

function withOtherwise(output: ReturnType<typeof labelled>, { threshold, otherwise }: BoundOutput) {
  const unsure = threshold !== undefined && otherwise !== undefined && (output.score as number) < threshold;
  return unsure ? { ...output, label: otherwise } : output;
}

/** A model that answers with the label itself, or its index: its score is 1. */
function chosen({ map }: TensorContext, outputs: Response['outputs'], labels: readonly string[]) {
  const [bound, tensor] = needed(map, 'label', outputs);
  const own = bound.labels ?? labels;
  const label = tensor.datatype === 'BYTES' ? texts(bound, tensor)[0] : own[numbers(bound, tensor)[0] ?? -1];
  const at = labels.indexOf(label ?? '');
  if (at === -1) throw wrongOutput(bound.name, `the label ${JSON.stringify(label)} is none of ${labels.join(', ')}`);
  return labelled(
    labels.map((_, i) => Number(i === at)),
    labels,
  );
}
