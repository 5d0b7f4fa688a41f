import { type Alternative, agentOf, type Graph, isStage, type StagePlan, type Step } from '../plan/index.js';
import { traitsOf } from '../stages/traits.js';
import { bindingText } from './binding-text.js';
import { readFieldsOf } from './reads.js';
import { spell } from './spell.js';

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

/** The condition of a branch, or of the end of a loop. */
export function conditionOf(step: Step): string | undefined {
  if (isStage(step)) return undefined;
  if (step.kind === 'when') return `if ${bindingText(step.condition)}`;
  return step.kind === 'repeat' ? `until ${bindingText(step.until)}` : undefined;
}

/** What serves a stage, in words; of an approval its decision. */
export const servedLine = ({ kind, model, with: options }: Alternative): string =>
  kind === 'approve'
    ? `a person decides within ${spell(Number(options.timeoutMs))}, else ${options.otherwise === true ? 'yes' : 'no'}`
    : [kind, model, ...(traitsOf({ kind })?.servedBy === 'temporal' ? [`queue ${String(options.queue)}`] : [])].join(
        ' · ',
      );

/** Names of an agent's tools, and which of them a person approves; none for other stages. */
export const toolNames = (by: Alternative): string[] =>
  by.kind === 'agent'
    ? agentOf(by).tools.map(({ name, approval }) => (approval ? `${name} (a person approves)` : name))
    : [];

/** What takes the place of a stage, and when. */
export function insteadOf({ kind, model, with: options, degrade = [], fallback = [] }: StagePlan) {
  const own = JSON.stringify([kind, model]);
  const by = (to: Alternative): string =>
    JSON.stringify([to.kind, to.model]) === own ? changedOptions(options, to.with) : servedLine(to);
  return [
    ...degrade.map(({ belowMs, to }) => ({
      when: `less than ${spell(belowMs)} left`,
      by: to === 'skip' ? 'nothing' : to === 'cached' ? 'the cache only' : by(to),
    })),
    ...fallback.map((to, i) => ({
      when: i === 0 ? 'on failure' : 'if that fails',
      by: to === 'skip' ? 'nothing' : servedLine(to),
    })),
  ];
}

/** Options of an alternative with the same model that differ from the stage's: `with maxTokens 16`. */
function changedOptions(before: Alternative['with'], after: Alternative['with']): string {
  const changed = Object.keys({ ...before, ...after }).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return changed.length === 0
    ? 'itself'
    : `with ${changed.map((name) => `${name} ${JSON.stringify(after[name] ?? null)}`).join(', ')}`;
}

/** A text in lines of at most so many letters, broken at spaces where there are some. */
export function linesOf(text: string, most: number): string[] {
  const lines: string[] = [];
  let now = '';
  for (const word of text.split(' ').filter(Boolean)) {
    for (let rest = word; rest !== ''; rest = rest.slice(most)) {
      const part = rest.slice(0, most);
      if (now !== '' && now.length + 1 + part.length > most) {
        lines.push(now);
        now = '';
      }
      now = now === '' ? part : `${now} ${part}`;
    }
  }
  return now === '' ? lines : [...lines, now];
}

/** Label for the value of a graph without steps. */
export function valueLabel({ output }: Graph): string {
  const reads = readFieldsOf(output).map(({ source, field }) => {
    const name = source.slice(source.lastIndexOf('/') + 1);
    return field === '' ? name : `${name}.${field}`;
  });
  return reads.length > 0 ? reads.join(', ') : 'a constant';
}
