import { keyOf, type Node, nameOf, partOf, partsOf, unwrapped } from './node.js';
import type { Scope } from './scope.js';

/** Members whose call gives another value each time, by global object. */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  Date: ['now'],
  Math: ['random'],
  performance: ['now'],
  crypto: ['randomUUID', 'getRandomValues', 'randomBytes', 'randomInt'],
};

/** Why an expression has the same value in every run if it is evaluated in a definition; undefined if it is unknown. */
export function frozenBecause(node: Node, scope: Scope): string | undefined {
  const global = (of: Node | undefined, name: string) => nameOf(of) === name && scope.get(name) === undefined;
  const callee = partOf(node, 'callee');
  const once = 'is evaluated once, when the module is loaded: every run gets the same value';
  if (node.type === 'NewExpression' || node.type === 'CallExpression') {
    if (global(callee, 'Date') && partsOf(node, 'arguments').length === 0) return once;
    if (nameOf(callee) === 'randomUUID') return once;
  }
  if (node.type === 'CallExpression' && callee && unwrapped(callee).type === 'MemberExpression') {
    const member = unwrapped(callee);
    const object = nameOf(partOf(member, 'object')) ?? '';
    const shadowed = scope.get(object) !== undefined && object !== 'crypto';
    if (Object.hasOwn(CALLS, object) && !shadowed && CALLS[object]?.includes(keyOf(member, 'property') ?? ''))
      return once;
  }
  if (node.type === 'MemberExpression') {
    const object = partOf(node, 'object');
    const isEnv = object?.type === 'MemberExpression' && keyOf(object, 'property') === 'env';
    if (isEnv && global(partOf(object, 'object'), 'process')) {
      return 'is read once, when the module is loaded, by gateway and worker separately';
    }
  }
  return undefined;
}
