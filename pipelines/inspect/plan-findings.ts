import { isJsonObject } from '../json.js';
import { seal } from '../plan/hash.js';
import { type Binding, type Graph, graphsOf, isStage, type Plan, type Step, unknownOperator } from '../plan/index.js';
import { planSchema } from '../plan/plan-schema.js';
import { ownBindings } from '../plan/reads.js';
import { reserveOf } from '../plan/reserve.js';
import type { Finding } from './finding.js';
import { readFieldsOf } from './reads.js';

const DEFINES: Readonly<Record<string, readonly string[]>> = { each: ['item', 'index'], repeat: ['state', 'round'] };

/** Errors of a plan that was not made by `pipeline()` here, e.g. one from a file. */
export function planFindings(value: unknown): readonly Finding[] {
  const name = isJsonObject(value) && typeof value.name === 'string' ? value.name : '-';
  const found: Finding[] = [];
  const add = (stage: string, message: string, remedy: string) =>
    found.push({ level: 'error', pipeline: name, stage, code: 'INVALID_PIPELINE', message, remedy });
  const parsed = planSchema.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) {
    const { path, message: rule } = deepest(issue);
    const message = valueAt(value, path) === undefined ? 'is missing' : rule;
    add(stepAt(value, path), `${path.join('.') || 'plan'}: ${message}`, 'see docs/reference/plan.schema.json');
  }
  if (!parsed.success) return found;
  const plan = value as Plan;
  const { version, ...body } = plan;
  if (seal(body).version !== version) {
    add('-', `the version is ${version}, the plan’s hash is ${seal(body).version}`, 'create the plan with pipeline()');
  }
  if (reserveOf(plan) > plan.deadlineMs) {
    add('-', `reserves of ${reserveOf(plan)} ms are more than the deadline`, 'give a longer deadline or reserve less');
  }
  checkGraph(plan, new Set(['input']), new Set(), add);
  return found;
}

type Add = (stage: string, message: string, remedy: string) => void;

function checkGraph(graph: Graph, around: ReadonlySet<string>, ids: Set<string>, add: Add): void {
  const known = new Set(around);
  const check = (of: Step | Graph['output'], stage: string, sources: ReadonlySet<string>) => {
    for (const { source } of readFieldsOf(of)) {
      if (!sources.has(source)) add(stage, `reads "${source}", which is not an earlier step`, 'read an earlier step');
    }
  };
  for (const step of graph.stages) {
    const { id } = step;
    if (id === 'input') add(id, 'is the name of the run’s input', 'give it another id');
    if (ids.has(id)) add(id, 'is defined twice', 'give it another id');
    ids.add(id);
    const own = new Set([...known, ...(DEFINES[step.kind] ?? []).map((each) => `${id}/${each}`)]);
    check(step, id, own);
    operators(ownBindings(step), id, add);
    policyOrder(step, add);
    const inner = step.kind === 'pipeline' && !isStage(step) ? new Set([`${id}/input`]) : own;
    for (const each of graphsOf(step)) checkGraph(each, inner, ids, add);
    if (!isStage(step) && step.kind === 'pipeline' && step.run === 'child') {
      checkGraph(step.plan, new Set(['input']), new Set(), add);
    }
    known.add(id);
  }
  check(graph.output, 'output', known);
  operators(graph.output, 'output', add);
}

function operators(binding: Binding, stage: string, add: Add): void {
  const name = unknownOperator(binding);
  const remedy = 'see the operators in docs/reference/plan.md';
  if (name !== undefined) add(stage, `uses the unknown operator "${name}"`, remedy);
}

function policyOrder(step: Step, add: Add): void {
  if (!isStage(step)) return;
  const { attemptMs, totalMs, queueMs = 0, firstChunkMs = 0, idleMs = 0 } = step.policy.timeout;
  const { initialMs, maxMs } = step.policy.retry;
  for (const [field, ms, limit] of [
    ['timeout.attemptMs', attemptMs, totalMs],
    ['timeout.queueMs', queueMs, totalMs],
    ['timeout.firstChunkMs', firstChunkMs, attemptMs],
    ['timeout.idleMs', idleMs, attemptMs],
    ['retry.initialMs', initialMs, maxMs],
  ] as const) {
    if (ms > limit) add(step.id, `${field} of ${ms} ms is longer than its limit, ${limit} ms`, 'make it shorter');
  }
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly code?: string | undefined;
  readonly errors?: readonly (readonly Issue[])[];
}

/** For a union, the issue that reached deepest: that of the intended member. */
function deepest({ path, message, code, errors = [] }: Issue): { path: readonly PropertyKey[]; message: string } {
  if (code !== 'invalid_union' || errors.length === 0) return { path, message };
  const meant = [...errors].sort((a, b) => depth(b) - depth(a))[0] ?? [];
  const inner = meant.map(deepest).sort((a, b) => b.path.length - a.path.length)[0];
  return inner ? { path: [...path, ...inner.path], message: inner.message } : { path, message };
}
/** A member with a different `kind` was not intended. */
const depth = (issues: readonly Issue[]): number =>
  issues.some(({ path }) => path[0] === 'kind')
    ? -1
    : Math.max(...issues.map((issue) => deepest(issue).path.length), 0) - issues.length / 100;

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce((at, key) => (at as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[key], value);

/** The id of the innermost step on a path. */
function stepAt(value: unknown, path: readonly PropertyKey[]): string {
  let found = '-';
  let at = value;
  for (const key of path) {
    at = (at as Readonly<Record<PropertyKey, unknown>> | null)?.[key];
    if (isJsonObject(at) && typeof at.id === 'string') found = at.id;
  }
  return found;
}
