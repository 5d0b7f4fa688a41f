import { labelled } from '../../scores.js';
import { activated } from '../activation.js';
import type { BoundOutput } from '../bind.js';
import { wrongOutput } from '../encode.js';
import { answer, type Response, sourcesOf, type TensorContext, type TensorKind } from '../kind.js';
import { found, needed, numbers, texts, wholeOutput } from '../read.js';

/**
 * Classification of one text, image or sound: the label with the highest score, the first of equals. Scores are in the
 * order of the map's labels, else of the stage's.
 */
export const classify: TensorKind = {
  async invoke(call, context) {
    const { outputs } = await answer(call, context, await sourcesOf(call, context));
    const whole = wholeOutput(context.map, outputs);
    if (whole) return { output: whole };
    const labels = call.with.labels as readonly string[];
    const label = found(context.map, 'label', outputs);
    return {
      output:
        label && !context.map.outputs.has('scores')
          ? chosen(context, outputs, labels)
          : scored(context, outputs, labels),
    };
  },
  example: { text: 'ok' },
};

function scored({ map }: TensorContext, outputs: Response['outputs'], labels: readonly string[]) {
  const [bound, tensor] = needed(map, 'scores', outputs);
  const logits = numbers(bound, tensor);
  const own = bound.labels ?? labels.filter((label) => label !== bound.otherwise);
  if (logits.length !== own.length) {
    throw wrongOutput(bound.name, `${logits.length} scores for ${own.length} labels (${own.slice(0, 20).join(', ')})`);
  }
  const scores = activated(logits, bound.activation, own.length);
  const named = new Map(own.map((label, i) => [label, scores[i] as number]));
  return withOtherwise(labelled([...ofStage(bound, named, labels).values()], labels), bound);
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
