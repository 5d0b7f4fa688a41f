import type { Json } from '../../../pipelines/json.js';
import type { Binding } from '../../../pipelines/plan/index.js';
import type { Chooser } from './chooser.js';

/** A path that a binding may read, and what stands there as a rule. */
export interface Readable {
  readonly path: string;
  readonly field: string;
}

/** Operators and how many arguments they take. */
const OPERATORS = {
  ...{ eq: 2, ne: 2, lt: 2, lte: 2, gt: 2, gte: 2, and: 2, or: 2, not: 1, has: 1, contains: 2, size: 1, either: 2 },
  ...{ at: 2, join: 2 },
} as const;
const CONDITIONS = ['eq', 'ne', 'lt', 'gte', 'and', 'or', 'not', 'has'] as const;

/** A random binding that reads `readable`. */
export function binding(choose: Chooser, readable: readonly Readable[], depth: number): Binding {
  const inner = () => binding(choose, readable, depth - 1);
  const form = choose.int(0, depth > 0 ? 10 : 5);
  if (form <= 4 && readable.length > 0) return { $ref: choose.pick(readable).path };
  if (form === 6) return { $text: [inner(), '-', inner()] };
  if (form === 7) return operation(choose.pick(Object.keys(OPERATORS) as (keyof typeof OPERATORS)[]), inner);
  if (form === 8) return { x: inner(), y: [inner()] };
  if (form === 9) return { $const: { $ref: 'not.read' } };
  if (form === 10) return maybeAbsent(choose, readable, inner);
  return randomValue(choose, choose.pick(['n', 'list', 'text', 'ok']));
}

/** What an object has under a name that it may lack, or the first of two values; now and then with the mark of what may be absent. */
function maybeAbsent(choose: Chooser, readable: readonly Readable[], inner: () => Binding): Binding {
  const field = readable.length > 0 && choose.chance(0.5) ? choose.pick(readable).field : 'x';
  const operator = choose.chance(0.5)
    ? { $op: 'get', of: [inner(), field] }
    : { $op: 'either', of: [inner(), inner()] };
  return choose.chance(0.6) ? { ...operator, absent: true } : operator;
}

/** A random condition: true or false for whatever it reads. */
export const condition = (choose: Chooser, readable: readonly Readable[], depth: number): Binding =>
  operation(choose.pick(CONDITIONS), () =>
    depth > 1 && choose.chance(0.4) ? condition(choose, readable, depth - 1) : binding(choose, readable, depth - 1),
  );

const operation = (name: keyof typeof OPERATORS, argument: () => Binding): Binding => ({
  $op: name,
  of: Array.from({ length: OPERATORS[name] }, argument),
});

/** A value as the field of a stage's output has it. */
export function randomValue(choose: Chooser, field: string): Json {
  if (field === 'n') return choose.int(0, 9);
  if (field === 'text') return choose.pick(['', 'a', 'b c', '9']);
  if (field === 'ok') return choose.chance(0.5);
  return Array.from({ length: choose.int(0, 3) }, () => choose.int(0, 9));
}
