import { traitsOf } from '../stages/traits.js';
import { perGraph } from './per-graph.js';
import { type Graph, graphsOf, isStage, type Step } from './plan.js';
import { readsOf } from './reads.js';

/**
 * Whether a step can run inside a segment: it and everything within it are inline, and executed neither by the
 * interpreter, since a segment cannot hold a wait for a person, nor by another worker of Temporal.
 */
export function isInline(step: Step): boolean {
  if (isStage(step)) return step.policy.execution === 'inline' && !OUTSIDE.has(traitsOf(step)?.servedBy);
  if (step.kind === 'pipeline' && step.run === 'child') return false;
  const inner = graphsOf(step).flatMap(({ stages }) => stages);
  return inner.length > 0 && inner.every(isInline);
}

/**
 * Groups a graph's steps: each inline step joins the segment of the steps it reads, unless another step would then wait
 * longer. A step joins if everything it reads from outside the segment is available when the segment starts, and if no
 * step of the segment is read by a queued step, which waits for the whole segment.
 */
export const groupsOf: (graph: Graph) => readonly (readonly Step[])[] = perGraph(({ stages }) => group(stages));

const OUTSIDE: ReadonlySet<string | undefined> = new Set(['interpreter', 'temporal']);

/** Whether a graph as a whole is one segment. */
export function isOneSegment(graph: Graph): boolean {
  const [first, ...others] = groupsOf(graph);
  return first !== undefined && others.length === 0 && first.every(isInline);
}

function group(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  const groupOf = new Map<string, { members: Step[]; entry: Set<string>; closed: boolean }>();
  const ids = new Set(steps.map(({ id }) => id));
  for (const step of steps) {
    const reads = readsOf(step).filter((source) => ids.has(source));
    if (isInline(step)) {
      const readElsewhere = steps.some((other) => !isInline(other) && readsOf(other).includes(step.id));
      const joined = reads
        .map((source) => groupOf.get(source))
        .find((group) => {
          if (!group || group.closed) return false;
          const members = new Set(group.members.map(({ id }) => id));
          const fits = reads.every((source) => members.has(source) || group.entry.has(source));
          // The outside reader must not wait for a member that the step itself does not depend on.
          return fits && (!readElsewhere || covers(step, group.members));
        });
      const group = joined ?? { members: [], entry: new Set(reads), closed: false };
      if (!joined) groups.push(group.members);
      group.members.push(step);
      group.closed ||= readElsewhere;
      groupOf.set(step.id, group);
    } else groups.push([step]);
  }
  return groups;
}

/** Whether a step depends on every one of `members`, directly or through others of them. */
function covers(step: Step, members: readonly Step[]): boolean {
  const needed = new Set(readsOf(step));
  for (const member of [...members].reverse()) {
    if (!needed.has(member.id)) return false;
    for (const source of readsOf(member)) needed.add(source);
  }
  return true;
}
