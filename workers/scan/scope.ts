import { isFunction, type Node, nameOf, partOf, partsOf } from './node.js';

/**
 * What a name means to the scan. `trace`: the argument of a definition; `step`: one of its functions; `language`: all of
 * Millrace’s exports; `state`: a variable of the module; `other`: anything else, which hides an outer name.
 */
export type Meaning =
  | 'reference'
  | 'trace'
  | 'step'
  | 'operator'
  | 'pipeline'
  | 'code'
  | 'language'
  | 'state'
  | 'other';

/** The names of a block and of those around it. */
export class Scope {
  readonly #names = new Map<string, Meaning>();
  readonly #functions = new Map<string, Node>();
  readonly #around: Scope | undefined;

  constructor(around?: Scope) {
    this.#around = around;
  }

  set(name: string, meaning: Meaning): void {
    this.#names.set(name, meaning);
  }

  /** Undefined for a global name. */
  get(name: string): Meaning | undefined {
    return this.#names.get(name) ?? this.#around?.get(name);
  }

  functionNamed(name: string): Node | undefined {
    return this.#names.has(name) ? this.#functions.get(name) : this.#around?.functionNamed(name);
  }

  /** Declares the names of a block's statements, so that they hide outer ones before their declaration is reached. */
  declare(statements: readonly Node[], isModule = false): void {
    for (const statement of statements) {
      const declared = partOf(statement, 'declaration') ?? statement;
      const own = nameOf(partOf(declared, 'id'));
      if (own !== undefined) {
        this.set(own, 'other');
        if (isFunction(declared)) this.#functions.set(own, declared);
      }
      for (const declarator of partsOf(declared, 'declarations')) {
        const id = partOf(declarator, 'id');
        for (const name of namesIn(id)) this.set(name, isModule && declared.kind !== 'const' ? 'state' : 'other');
        const value = partOf(declarator, 'init');
        const name = nameOf(id);
        if (name !== undefined && isFunction(value)) this.#functions.set(name, value);
      }
    }
  }
}

/** The names that a pattern binds. */
export function namesIn(pattern: Node | undefined): readonly string[] {
  if (pattern === undefined) return [];
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name as string];
    case 'ObjectPattern':
      return partsOf(pattern, 'properties').flatMap(namesIn);
    case 'ArrayPattern':
      return partsOf(pattern, 'elements').flatMap(namesIn);
    case 'Property':
      return namesIn(partOf(pattern, 'value'));
    case 'AssignmentPattern':
      return namesIn(partOf(pattern, 'left'));
    case 'RestElement':
      return namesIn(partOf(pattern, 'argument'));
    default:
      return [];
  }
}
