import { keyOf, type Node, nameOf, partOf, partsOf, unwrapped } from './node.js';
import { type Meaning, namesIn, type Scope } from './scope.js';

/** Functions in the argument of a definition. */
const STEPS: ReadonlySet<string> = new Set(['stage', 'when', 'each', 'repeat', 'race', 'run']);

/** Exports of Millrace that the scan knows. */
const EXPORTS: Readonly<Record<string, Meaning>> = {
  pipeline: 'pipeline',
  code: 'code',
  tool: 'code',
  ...Object.fromEntries(
    [
      ...['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'and', 'or', 'not', 'has', 'contains'],
      ...['size', 'either', 'present', 'at', 'join', 'text'],
    ].map((name) => [name, 'operator' as const]),
  ),
};
const exported = (name: string | undefined): Meaning =>
  name !== undefined && Object.hasOwn(EXPORTS, name) ? (EXPORTS[name] as Meaning) : 'other';

/** Whether a module may be Millrace or re-export it; Node’s own `stream` exports a `pipeline` too. */
const mayBeMillrace = (source: unknown): boolean =>
  typeof source === 'string' && !source.startsWith('node:') && !/^stream(\/|$)/.test(source);

export function bindImport(node: Node, scope: Scope): void {
  const known = mayBeMillrace(partOf(node, 'source')?.value);
  for (const specifier of partsOf(node, 'specifiers')) {
    const local = nameOf(partOf(specifier, 'local'));
    if (local === undefined) continue;
    const meaning =
      specifier.type === 'ImportNamespaceSpecifier' ? 'language' : exported(nameOf(partOf(specifier, 'imported')));
    scope.set(local, known ? meaning : 'other');
  }
}

/** `const { pipeline } = require('millrace')`, and the same with `await import`. Returns whether it was one. */
export function bindRequired(declarator: Node, scope: Scope): boolean {
  const value = partOf(declarator, 'init');
  const called = value?.type === 'AwaitExpression' ? partOf(value, 'argument') : value;
  const source =
    called?.type === 'ImportExpression'
      ? partOf(called, 'source')
      : called?.type === 'CallExpression' && nameOf(partOf(called, 'callee')) === 'require'
        ? partsOf(called, 'arguments')[0]
        : undefined;
  if (!mayBeMillrace(source?.value)) return false;
  const id = partOf(declarator, 'id');
  const whole = nameOf(id);
  if (whole !== undefined) scope.set(whole, 'language');
  for (const property of partsOf(id, 'properties')) {
    for (const name of namesIn(property)) scope.set(name, exported(keyOf(property, 'key')));
  }
  return true;
}

/** What a called function is. */
export function calleeOf(call: Node, scope: Scope): Meaning | undefined {
  const callee = unwrapped((partOf(call, 'callee') ?? partOf(call, 'tag')) as Node);
  const name = nameOf(callee);
  if (name !== undefined) return scope.get(name);
  if (callee.type !== 'MemberExpression') return undefined;
  const of = scope.get(nameOf(partOf(callee, 'object')) ?? '');
  const member = keyOf(callee, 'property');
  if (of === 'trace') return member !== undefined && STEPS.has(member) ? 'step' : undefined;
  return of === 'language' ? exported(member) : undefined;
}

/** Whether an expression gives a reference, as far as is known. */
export function isReference(expression: Node | undefined, scope: Scope): boolean {
  if (expression === undefined) return false;
  const node = unwrapped(expression);
  switch (node.type) {
    case 'Identifier':
      return scope.get(node.name as string) === 'reference';
    case 'MemberExpression': {
      const object = partOf(node, 'object');
      const ofTrace = scope.get(nameOf(object) ?? '') === 'trace' && keyOf(node, 'property') === 'input';
      return ofTrace || isReference(object, scope);
    }
    case 'CallExpression':
    case 'TaggedTemplateExpression': {
      const callee = calleeOf(node, scope);
      return callee === 'step' || callee === 'operator';
    }
    case 'AwaitExpression':
      return isReference(partOf(node, 'argument'), scope);
    default:
      return false;
  }
}

/** Binds the argument of a definition. `onInput` binds the pattern of its input. */
export function bindTrace(pattern: Node | undefined, scope: Scope, onInput: (pattern: Node) => void): void {
  const name = nameOf(pattern);
  if (name !== undefined) scope.set(name, 'trace');
  for (const property of partsOf(pattern, 'properties')) {
    if (property.type === 'RestElement') {
      bindTrace(partOf(property, 'argument'), scope, onInput);
      continue;
    }
    const key = keyOf(property, 'key') ?? '';
    const value = partOf(property, 'value');
    if (value && key === 'input') onInput(value);
    else for (const each of namesIn(value)) scope.set(each, STEPS.has(key) ? 'step' : 'other');
  }
}
