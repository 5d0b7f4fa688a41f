import { isJsonObject } from '../json.js';
import type { Binding } from '../plan/index.js';

/** Operators between their arguments. */
const BETWEEN: Readonly<Record<string, string>> = {
  eq: '=',
  ne: '≠',
  lt: '<',
  lte: '≤',
  gt: '>',
  gte: '≥',
  contains: 'contains',
  and: 'and',
  or: 'or',
  either: 'else',
};

/** A binding, such as a condition, as people read it: `answer.finish = "stop" and not input.short`. */
export function bindingText(binding: Binding): string {
  if (Array.isArray(binding)) return `[${binding.map((item) => bindingText(item as Binding)).join(', ')}]`;
  if (!isJsonObject(binding)) return JSON.stringify(binding);
  const { $ref, $op, of, $text, $const } = binding;
  // What a step defines for its inner graph has the step's id before it: `chunks/item`.
  if (typeof $ref === 'string') return $ref.replace(/^[^.]*\//, '');
  if (Array.isArray($text))
    return $text.map((part) => (typeof part === 'string' ? part : bindingText(part as Binding))).join('');
  if ($const !== undefined) return JSON.stringify($const);
  if (typeof $op !== 'string' || !Array.isArray(of))
    return `{ ${Object.entries(binding)
      .map(([name, value]) => `${name}: ${bindingText(value)}`)
      .join(', ')} }`;
  return operation($op, of as readonly Binding[]);
}

function operation(op: string, of: readonly Binding[]): string {
  const all = of.map((each) => (isCompound(each) && op in BETWEEN ? `(${bindingText(each)})` : bindingText(each)));
  const [first = '', second = ''] = all;
  if (op in BETWEEN) return all.join(` ${BETWEEN[op]} `);
  switch (op) {
    case 'not':
      return of[0] !== undefined && isCompound(of[0]) ? `not (${first})` : `not ${first}`;
    case 'has':
      return `${first} is present`;
    case 'size':
      return `size of ${first}`;
    case 'get':
      return `${first}.${String(of[1])}`;
    case 'at':
      return `${first}[${second}]`;
    default:
      return `${op}(${all.join(', ')})`;
  }
}

/** An operator between arguments, which within another needs parentheses; comparisons within `and` read well without. */
const isCompound = (binding: Binding): boolean =>
  isJsonObject(binding) && typeof binding.$op === 'string' && ['and', 'or', 'either'].includes(binding.$op);
