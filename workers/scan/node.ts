/** A node of a syntax tree in the ESTree form, with TypeScript's nodes. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly loc: { readonly start: { readonly line: number; readonly column: number } };
  readonly [part: string]: unknown;
}

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** A part that may be absent. */
export const partOf = (node: Node | undefined, part: string): Node | undefined => {
  const value = node?.[part];
  return isNode(value) ? value : undefined;
};

export const partsOf = (node: Node | undefined, part: string): readonly Node[] => {
  const value = node?.[part];
  return Array.isArray(value) ? value.filter(isNode) : [];
};

/** The name of an identifier; undefined for other nodes. */
export const nameOf = (node: Node | undefined): string | undefined =>
  node?.type === 'Identifier' && typeof node.name === 'string' ? node.name : undefined;

/** The name of a member or key that is not computed. */
export const keyOf = (node: Node, part: 'property' | 'key'): string | undefined => {
  const key = partOf(node, part);
  if (node.computed === true) return typeof key?.value === 'string' ? key.value : undefined;
  return nameOf(key) ?? (typeof key?.value === 'string' ? key.value : undefined);
};

export const isFunction = (node: Node | undefined): node is Node =>
  node !== undefined && /^(ArrowFunctionExpression|FunctionExpression|FunctionDeclaration)$/.test(node.type);

const WRAPPERS = new Set([
  'ChainExpression',
  'ParenthesizedExpression',
  'TSAsExpression',
  'TSNonNullExpression',
  'TSSatisfiesExpression',
  'TSTypeAssertion',
  'TSInstantiationExpression',
]);

/** The expression without parentheses, optional chains and TypeScript's assertions. */
export function unwrapped(node: Node): Node {
  let at = node;
  while (WRAPPERS.has(at.type)) at = at.expression as Node;
  return at;
}

/** Parts that hold types or names, no expressions. */
const NO_EXPRESSION = new Set(['loc', 'typeAnnotation', 'returnType', 'typeParameters', 'typeArguments', 'implements']);

/** The nodes inside a node that are evaluated when it is. */
export function childrenOf(node: Node): readonly Node[] {
  const isNamed = node.computed !== true && (node.type === 'MemberExpression' || 'key' in node);
  return Object.entries(node).flatMap(([part, value]) => {
    if (NO_EXPRESSION.has(part) || (isNamed && (part === 'property' || part === 'key'))) return [];
    const inside = Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [];
    return inside.filter(({ type }) => !type.startsWith('TS') || WRAPPERS.has(type));
  });
}
