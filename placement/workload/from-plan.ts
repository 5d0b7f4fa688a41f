import { isJsonObject, type Json } from '../../pipelines/json.js';
import {
  cacheKeyOf,
  type Graph,
  graphsOf,
  isStage,
  type Plan,
  type StagePlan,
  type Step,
  sourcesOf,
  streamsInto,
} from '../../pipelines/plan/index.js';
import { isDefinedKind } from '../../pipelines/stages/index.js';
import { ShapeBuilder } from './builder.js';
import type { PipelineShape } from './shape.js';

/** The pool that embeds for a stage's options, if any. */
const embedderOf = (options: Json): readonly string[] =>
  isJsonObject(options) && typeof options.embedder === 'string' ? [options.embedder] : [];

/**
 * A plan's workload. A branch counts as taken, a loop as one item and one round, and every contender of a race as run;
 * these are listed as assumptions, and `--assume` overrides them.
 */
export function shapeOfPlan(plan: Plan): PipelineShape {
  const builder = new ShapeBuilder();
  builder.define('input', []);
  addGraph(plan, [], builder, '');
  return builder.build(plan.name);
}

/** Every step of a graph; `around` is what the enclosing step waits for. */
function addGraph(graph: Graph, around: readonly string[], builder: ShapeBuilder, prefix: string): void {
  for (const step of graph.stages) {
    if (isStage(step)) addStage(step, around, builder, prefix);
    else addControl(step, around, builder, prefix);
  }
}

function addStage(stage: StagePlan, around: readonly string[], builder: ShapeBuilder, prefix: string): void {
  builder.add({
    id: `${prefix}${stage.id}`,
    kind: stage.kind,
    model: stage.model,
    after: [...around, ...sourcesOf([stage.input, cacheKeyOf(stage)]).map((source) => `${prefix}${source}`)],
    embedders: [
      ...(stage.cache?.kind === 'semantic' ? [stage.cache.embedder] : []),
      ...(isDefinedKind(stage.kind) ? [] : embedderOf(stage.with)),
    ],
    ...(stage.cache?.kind === 'semantic' && { verifier: stage.cache.verifier?.entailment }),
    attempts: stage.policy.retry.attempts,
    streamFrom: streamsInto(stage).map(({ from }) => `${prefix}${from}`)[0],
  });
}

function addControl(
  step: Exclude<Step, StagePlan>,
  around: readonly string[],
  builder: ShapeBuilder,
  prefix: string,
): void {
  const waits = [...around, ...readsOfControl(step).map((source) => `${prefix}${source}`)];
  const before = builder.count;
  if (step.kind === 'pipeline' && step.run === 'child') {
    const inner = `${prefix}${step.id}/`;
    builder.define(`${inner}input`, builder.endsOf(waits));
    addGraph(step.plan, waits, builder, inner);
  } else for (const graph of graphsOf(step)) addGraph(graph, waits, builder, prefix);
  const ends = builder.since(before);
  builder.define(`${prefix}${step.id}`, ends.length > 0 ? ends : builder.endsOf(waits));
  const assumption = ASSUMED[step.kind];
  if (assumption !== undefined && ends.length > 0) builder.assume(`${step.kind} ${prefix}${step.id}: ${assumption}`);
}

const ASSUMED: Readonly<Record<string, string>> = {
  when: 'every branch counts as taken (--assume <stage>.share=0.5)',
  each: 'one item a run (--assume <stage>.calls=4)',
  repeat: 'one round a run (--assume <stage>.calls=2)',
  race: 'every contender runs to its end',
};

function readsOfControl(step: Exclude<Step, StagePlan>): readonly string[] {
  switch (step.kind) {
    case 'when':
      return sourcesOf(step.condition);
    case 'each':
      return sourcesOf(step.over);
    case 'repeat':
      return sourcesOf(step.start);
    case 'pipeline':
      return sourcesOf(step.input);
    case 'race':
      return [];
  }
}
