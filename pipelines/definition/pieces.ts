import { isJsonObject } from '../json.js';
import { type Binding, refsOf } from '../plan/binding.js';
import { seal } from '../plan/hash.js';
import { allSteps, type Graph, graphsOf, isStage, type Plan, type StagePlan, type Step } from '../plan/plan.js';
import { ownBindings } from '../plan/reads.js';
import { traitsOf } from '../stages/traits.js';
import { withStream } from './streamed.js';

/**
 * The graph with the mark `pieces` on each voice whose pieces it reads, also of one that is read as the value of another step: a branch, a loop,
 * another pipeline.
 */
export const withPieces = (graph: Graph): Graph => ({ ...graph, stages: marked(graph, voicesRead(graph)) });

/** What the operator `chunks` is applied to in a graph and the graphs in it. */
function voicesRead(graph: Graph): readonly Binding[] {
  const found: Binding[] = [];
  collect(graph.output, found);
  for (const step of allSteps(graph)) {
    collect(ownBindings(step), found);
    for (const { output } of graphsOf(step)) collect(output, found);
  }
  return found;
}

function collect(binding: Binding, found: Binding[]): void {
  if (Array.isArray(binding)) for (const item of binding) collect(item as Binding, found);
  if (!isJsonObject(binding) || '$const' in binding) return;
  if (binding.$op === 'chunks' && Array.isArray(binding.of)) found.push(binding.of as Binding);
  for (const value of Object.values(binding)) collect(value, found);
}

/** The steps of a graph, with the mark on the voices that these bindings may have as their value or in it. */
function marked(graph: Graph, read: readonly Binding[]): readonly Step[] {
  const steps = new Map([...allSteps(graph)].map((step) => [step.id, step]));
  const reached = new Set<string>();
  const follow = (binding: Binding): void => {
    for (const ref of refsOf(binding)) {
      const [source = '', ...path] = ref.split('.');
      const step = steps.get(source);
      // A field of a stage is no voice. Which part of another step's value is one, is not looked at.
      if (reached.has(source) || (step && isStage(step) && path.length > 0)) continue;
      reached.add(source);
      for (const value of step ? valuesOf(step) : valuesGiven(source, steps)) follow(value);
    }
  };
  for (const binding of read) follow(binding);
  return reached.size === 0 ? graph.stages : graph.stages.map((step) => withMark(step, reached));
}

/** The bindings of which a step's value is one, or is made. */
function valuesOf(step: Step): readonly Binding[] {
  const outputs = graphsOf(step).map(({ output }) => output);
  return step.kind === 'repeat' && !isStage(step) ? [step.start, ...outputs] : outputs;
}

/** Those of what a step defines for its graphs: the item of an `each`, the state of a `repeat`, the input of a pipeline. */
function valuesGiven(source: string, steps: ReadonlyMap<string, Step>): readonly Binding[] {
  const end = source.lastIndexOf('/');
  const step = end < 0 ? undefined : steps.get(source.slice(0, end));
  if (step === undefined) return [];
  return step.kind === 'repeat' ? valuesOf(step) : [ownBindings(step)];
}

function withMark(step: Step, reached: ReadonlySet<string>): Step {
  if (isStage(step)) return reached.has(step.id) && speaks(step) ? withStream(step, 'pieces') : step;
  const within = ({ stages, output }: Graph): Graph => ({
    stages: stages.map((inner) => withMark(inner, reached)),
    output,
  });
  switch (step.kind) {
    case 'when':
      return { ...step, body: within(step.body), ...(step.otherwise && { otherwise: within(step.otherwise) }) };
    case 'race': {
      const graphs = Object.entries(step.contenders).map(([name, graph]) => [name, within(graph)] as const);
      return { ...step, contenders: Object.fromEntries(graphs) };
    }
    case 'pipeline':
      if (step.run === 'inline') return { ...step, plan: { ...step.plan, ...within(step.plan) } };
      return reached.has(step.id) ? { ...step, plan: ofChild(step.plan) } : step;
    default:
      return { ...step, body: within(step.body) };
  }
}

/** The plan of a child run, whose ids are its own: with the mark on the voices in its output. */
function ofChild({ version: _, ...plan }: Plan): Plan {
  return seal({ ...plan, stages: marked(plan, [plan.output]) });
}

const speaks = (stage: StagePlan): boolean => traitsOf(stage)?.streams?.includes('chunks') === true;
