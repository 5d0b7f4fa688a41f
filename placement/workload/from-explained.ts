import { z } from 'zod';
import { isDefinedKind } from '../../pipelines/stages/index.js';
import { ShapeBuilder } from './builder.js';
import type { PipelineShape } from './shape.js';

/** The fields of `millrace explain --json` that are used; others are ignored. */
export const explainedSchema = z.object({
  pipeline: z.string(),
  stages: z
    .array(
      z.object({
        id: z.string(),
        kind: z.string(),
        within: z.array(z.string()).default([]),
        reads: z.array(z.string()).default([]),
        candidates: z
          .array(z.object({ model: z.string(), with: z.record(z.string(), z.json()).default({}) }))
          .min(1, 'a stage without candidates: nothing serves it'),
        streams: z
          .array(z.object({ edge: z.object({ from: z.string() }), collected: z.string().optional() }))
          .default([]),
        policy: z.array(z.object({ option: z.string(), value: z.json() })).default([]),
        cache: z
          .object({ embedder: z.string().optional(), verifier: z.object({ entailment: z.string() }).optional() })
          .optional(),
      }),
    )
    .min(1, 'no stages'),
  children: z
    .array(z.unknown())
    .max(0, 'child runs, whose stages it does not contain: pass the plan, or the pipeline’s name')
    .default([]),
});

/**
 * A pipeline's workload from its explanation. The explanation does not list what steps around stages read, so a stage
 * in one waits for all stages before that step.
 */
export function shapeOfExplained({ pipeline, stages }: z.output<typeof explainedSchema>): PipelineShape {
  const builder = new ShapeBuilder();
  const outside = new Map<string, readonly string[]>();
  const inside = new Map<string, string[]>();
  const ids = stages.map(({ id }) => id);
  for (const [i, { id, kind, within, reads, streams, candidates, policy, cache }] of stages.entries()) {
    const after = new Set(reads.map((path) => path.split('.', 1)[0] as string));
    // A step without stages, such as an `each` that only reshapes, is not listed: its readers wait for all earlier
    // stages.
    const known = (source: string) =>
      source === 'input' || source.includes('/') || ids.includes(source) || inside.has(source);
    if (![...after].every(known)) for (const before of ids.slice(0, i)) after.add(before);
    for (const around of within) {
      // `when allowed then` and `when allowed otherwise` are one step.
      const step = around.split(' ')[1] ?? around;
      if (!outside.has(step)) outside.set(step, ids.slice(0, i));
      for (const before of outside.get(step) ?? []) after.add(before);
      inside.set(step, [...(inside.get(step) ?? []), id]);
    }
    const [first] = candidates;
    const attempts = policy.find(({ option }) => option === 'retry.attempts')?.value;
    const caching = cache?.embedder;
    const embedder = isDefinedKind(kind) ? undefined : first?.with.embedder;
    builder.add({
      id,
      kind,
      model: first?.model ?? '',
      after: [...after],
      embedders: [caching, embedder].filter((each) => typeof each === 'string'),
      verifier: cache?.verifier?.entailment,
      ...(typeof attempts === 'number' && { attempts }),
      streamFrom: streams.find(({ collected }) => collected === undefined)?.edge.from,
    });
    for (const [step, members] of inside) builder.define(step, builder.endsOf(members));
  }
  for (const step of inside.keys()) builder.assume(`${step}: its stages run once in every run`);
  return builder.build(pipeline);
}
