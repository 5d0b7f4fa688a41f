import { type Alternative, agentOf, type Graph, isStage, type Step } from '../plan/index.js';
import { traitsOf } from '../stages/traits.js';
import { readFieldsOf } from './reads.js';

/** How a plan is divided for execution; supplied by the interpreter. */
export interface Segments {
  /** A graph's steps, grouped by what runs together. */
  readonly groupsOf: (graph: Graph) => readonly (readonly Step[])[];
  /** Whether a step runs in a segment. */
  readonly isInline: (step: Step) => boolean;
}

/** Values that a step defines for its inner graphs, shown as separate nodes. */
export const DEFINES: Readonly<Record<string, readonly string[]>> = {
  each: ['item', 'index'],
  repeat: ['state', 'round'],
  pipeline: ['input'],
};
/** The graphs of a step with their names. */
export function lanesOf(step: Step): readonly (readonly [label: string, graph: Graph])[] {
  if (isStage(step)) return [];
  switch (step.kind) {
    case 'when':
      return step.otherwise
        ? [
            ['then', step.body],
            ['otherwise', step.otherwise],
          ]
        : [['then', step.body]];
    case 'race':
      return Object.entries(step.contenders);
    case 'pipeline':
      return step.run === 'inline' ? [['', step.plan]] : [];
    default:
      return [['', step.body]];
  }
}

/** Title of a step with inner graphs. */
export function titleOf(step: Step): string {
  if (isStage(step)) return step.id;
  switch (step.kind) {
    case 'each':
      return `each · ${step.id} · ${step.concurrency} at once`;
    case 'repeat':
      return `repeat · ${step.id} · at most ${step.atMost}`;
    case 'pipeline':
      return `run · ${step.id} · ${step.plan.name}`;
    default:
      return `${step.kind} · ${step.id}`;
  }
}

/** What serves a stage, in words. */
export const servedLine = ({ kind, model, with: options }: Alternative): string =>
  [kind, model, ...(traitsOf({ kind })?.servedBy === 'temporal' ? [`queue ${String(options.queue)}`] : [])].join(' · ');

/** Names of an agent's tools; none for other stages. */
export const toolNames = (by: Alternative): string[] =>
  by.kind === 'agent' ? agentOf(by).tools.map(({ name }) => name) : [];

/** Label for the value of a graph without steps. */
export function valueLabel({ output }: Graph): string {
  const reads = readFieldsOf(output).map(({ source, field }) => {
    const name = source.slice(source.lastIndexOf('/') + 1);
    return field === '' ? name : `${name}.${field}`;
  });
  return reads.length > 0 ? reads.join(', ') : 'a constant';
}
