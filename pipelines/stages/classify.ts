import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({ text: z.string() });
const output = z.object({
  /** The label with the highest score. */
  label: z.string(),
  score: z.number(),
  /** Every label's score. */
  scores: z.record(z.string(), z.number()),
});

export interface ClassifyOutput<Label extends string> {
  label: Label;
  score: number;
  scores: Record<Label, number>;
}

/** Classifies text into one of the model's labels. `labels`: in the order of the model's scores. */
export const classify = <const Label extends string>(options: {
  model: string;
  labels: readonly Label[];
}): StageUse<z.output<typeof input>, ClassifyOutput<Label>> => ({
  kind: 'classify',
  model: options.model,
  with: { labels: options.labels },
  input,
  output: z.object({
    label: z.enum(options.labels),
    score: z.number(),
    scores: z.object(Object.fromEntries(options.labels.map((label) => [label, z.number()]))),
  }) as unknown as z.ZodType<ClassifyOutput<Label>>,
});

export const classifyKind: StageKind = { input, output, ...TRAITS.classify };
