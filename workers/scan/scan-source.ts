import type { WarningCode } from '../../pipelines/inspect/index.js';
import { frozenBecause } from './frozen.js';
import { bindImport, bindRequired, bindTrace, calleeOf, isReference } from './language.js';
import { childrenOf, isFunction, type Node, nameOf, partOf, partsOf, unwrapped } from './node.js';
import { namesIn, Scope } from './scope.js';

/** A probable mistake in a source file. */
export interface Spot {
  readonly code: WarningCode;
  readonly message: string;
  /** Name of the pipeline whose definition it is in; `-` if unknown. */
  readonly pipeline: string;
  readonly line: number;
  readonly column: number;
}

/**
 * When the code being visited runs: `load`, outside definitions; `definition`; `stage`, in a function that a stage runs;
 * `unknown`, in another function inside a definition.
 */
interface Where {
  readonly runs: 'load' | 'definition' | 'stage' | 'unknown';
  readonly pipeline: string;
}

/** Mistakes in definitions that neither types nor the definition itself can detect: what JavaScript does with references. */
export function scanSource(program: Node, source: string): readonly Spot[] {
  const scan = new Scan(source);
  const scope = new Scope();
  const statements = partsOf(program, 'body');
  scan.findAssigned(program);
  scope.declare(statements, true);
  for (const statement of statements) scan.visit(statement, scope, { runs: 'load', pipeline: '-' });
  return [...scan.found.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Operators that change a variable by its own value: a counter or a sum, not a value that is made once. */
const COUNTS = /^(\+|-|\*|\/|\*\*|<<|>>|>>>|&|\||\^|%)=$/;
const EQUALITY = /^[!=]==?$/;
const LONGEST_SHOWN = 60;

class Scan {
  readonly found = new Map<string, Spot>();
  readonly #source: string;
  /** Variables that are assigned to somewhere: what they hold is not known. */
  readonly #assigned = new Set<string>();
  #steps = 0;

  constructor(source: string) {
    this.#source = source;
  }

  findAssigned(node: Node): void {
    const target = partOf(node, node.type === 'UpdateExpression' ? 'argument' : 'left');
    if (node.type === 'AssignmentExpression' || node.type === 'UpdateExpression') {
      for (const name of namesIn(target)) this.#assigned.add(name);
    }
    for (const child of childrenOf(node)) this.findAssigned(child);
  }

  visit(node: Node, scope: Scope, where: Where): void {
    switch (node.type) {
      case 'ImportDeclaration':
        bindImport(node, scope);
        break;
      case 'VariableDeclaration':
        this.#declaration(node, scope, where);
        break;
      case 'BlockStatement': {
        const inner = new Scope(scope);
        inner.declare(partsOf(node, 'body'));
        this.#children(node, inner, where);
        break;
      }
      case 'ForStatement':
      case 'ForOfStatement':
      case 'ForInStatement': {
        const inner = new Scope(scope);
        this.#condition(partOf(node, 'test'), inner, where);
        this.#children(node, inner, where);
        break;
      }
      case 'CatchClause': {
        const inner = new Scope(scope);
        for (const name of namesIn(partOf(node, 'param'))) inner.set(name, 'other');
        this.#children(node, inner, where);
        break;
      }
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
      case 'FunctionDeclaration':
        this.#function(node, scope, where.runs === 'definition' ? { ...where, runs: 'unknown' } : where);
        break;
      case 'CallExpression':
        this.#call(node, scope, where);
        break;
      default:
        this.#check(node, scope, where);
        this.#children(node, scope, where);
    }
  }

  #children(node: Node, scope: Scope, where: Where): void {
    for (const child of childrenOf(node)) this.visit(child, scope, where);
  }

  #declaration(node: Node, scope: Scope, where: Where): void {
    for (const declarator of partsOf(node, 'declarations')) {
      const value = partOf(declarator, 'init');
      if (value) this.visit(value, scope, where);
      if (bindRequired(declarator, scope)) continue;
      const id = partOf(declarator, 'id');
      if (isReference(value, scope)) this.#bindReference(id, scope, where);
      else if (where.runs !== 'load' || node.kind === 'const') for (const name of namesIn(id)) scope.set(name, 'other');
    }
  }

  /** Names in a pattern that takes a reference apart are references. */
  #bindReference(pattern: Node | undefined, scope: Scope, where: Where): void {
    if (pattern === undefined) return;
    if (pattern.type === 'AssignmentPattern') {
      const why = 'never takes the default: a reference is always there';
      this.#report('REFERENCE_DEFAULT', pattern, `${this.#shown(pattern)} ${why}`, where);
      this.#bindReference(partOf(pattern, 'left'), scope, where);
      return;
    }
    const name = nameOf(pattern);
    if (name !== undefined) scope.set(name, this.#assigned.has(name) ? 'other' : 'reference');
    for (const property of partsOf(pattern, 'properties')) {
      this.#bindReference(partOf(property, 'value') ?? partOf(property, 'argument'), scope, where);
    }
  }

  #call(node: Node, scope: Scope, where: Where): void {
    const given = partsOf(node, 'arguments');
    const callee = calleeOf(node, scope);
    this.#check(node, scope, where);
    if (callee === 'pipeline') {
      const [name, , body] = given;
      const define = isFunction(body) ? body : scope.functionNamed(nameOf(body) ?? '');
      if (typeof name?.value === 'string' && define) {
        for (const each of given) if (each !== body) this.visit(each, scope, where);
        this.#definition(define, scope, name.value);
        return;
      }
    }
    if (callee === 'step') this.#steps += 1;
    if (callee !== 'step' && callee !== 'code') {
      this.#children(node, scope, where);
      return;
    }
    const called = partOf(node, 'callee');
    if (called) this.visit(called, scope, where);
    for (const argument of given.flatMap(withFields)) {
      if (!isFunction(argument)) this.visit(argument, scope, where);
      else if (callee === 'step') this.#body(argument, scope, where);
      else this.#function(argument, scope, { ...where, runs: 'stage' });
    }
  }

  #definition(define: Node, scope: Scope, pipeline: string): void {
    const where: Where = { runs: 'definition', pipeline };
    const inner = new Scope(scope);
    const [argument] = partsOf(define, 'params');
    bindTrace(argument, inner, (pattern) => this.#bindReference(pattern, inner, where));
    this.#run(define, inner, where);
  }

  /** A function argument of a step: it is traced like the definition, with references as its arguments. */
  #body(define: Node, scope: Scope, where: Where): void {
    const inner = new Scope(scope);
    for (const pattern of partsOf(define, 'params')) this.#bindReference(pattern, inner, where);
    this.#run(define, inner, where);
  }

  #function(node: Node, scope: Scope, where: Where): void {
    const inner = new Scope(scope);
    for (const pattern of partsOf(node, 'params')) {
      for (const name of namesIn(pattern)) inner.set(name, 'other');
      this.#children(pattern, inner, where);
    }
    this.#run(node, inner, where);
  }

  #run(define: Node, scope: Scope, where: Where): void {
    const body = partOf(define, 'body');
    if (body?.type === 'BlockStatement') scope.declare(partsOf(body, 'body'));
    if (body) {
      if (body.type === 'BlockStatement') this.#children(body, scope, where);
      else this.visit(body, scope, where);
    }
  }

  /** The rules for one node. */
  #check(node: Node, scope: Scope, where: Where): void {
    if (where.runs === 'stage') {
      this.#checkInStage(node, scope, where);
      return;
    }
    if (where.runs === 'definition') {
      const frozen = frozenBecause(node, scope);
      if (frozen) this.#report('FROZEN_VALUE', node, `${this.#shown(node)} ${frozen}`, where);
    }
    switch (node.type) {
      case 'IfStatement':
      case 'ConditionalExpression':
      case 'WhileStatement':
      case 'DoWhileStatement':
        this.#condition(partOf(node, 'test'), scope, where);
        break;
      case 'SwitchStatement':
        this.#condition(partOf(node, 'discriminant'), scope, where);
        break;
      case 'UnaryExpression':
        if (node.operator === '!') this.#condition(partOf(node, 'argument'), scope, where);
        break;
      case 'LogicalExpression':
        this.#logical(node, scope, where);
        break;
      case 'BinaryExpression':
        this.#comparison(node, scope, where);
        break;
      case 'TryStatement':
        this.#attempt(node, scope, where);
        break;
      default:
    }
  }

  #condition(test: Node | undefined, scope: Scope, where: Where): void {
    if (test === undefined || where.runs === 'stage') return;
    // Its left side is checked wherever it is.
    if (test.type === 'LogicalExpression') this.#condition(partOf(test, 'right'), scope, where);
    if (!isReference(test, scope)) return;
    this.#report('REFERENCE_TESTED', test, `${this.#shown(test)} is a reference, which always counts as true`, where);
  }

  #logical(node: Node, scope: Scope, where: Where): void {
    const left = partOf(node, 'left');
    if (node.operator === '&&') this.#condition(left, scope, where);
    if (node.operator === '&&' || !isReference(left, scope)) return;
    const why = `never takes what follows ${String(node.operator)}: a reference is always there`;
    this.#report('REFERENCE_DEFAULT', node, `${this.#shown(node)} ${why}`, where);
  }

  #comparison(node: Node, scope: Scope, where: Where): void {
    const sides = [partOf(node, 'left'), partOf(node, 'right')];
    if (!EQUALITY.test(String(node.operator)) || !sides.some((side) => isReference(side, scope))) return;
    const result = String(node.operator).startsWith('!') ? 'true' : 'false';
    const why = `is always ${result}: a reference equals no value`;
    this.#report('REFERENCE_COMPARED', node, `${this.#shown(node)} ${why}`, where);
  }

  #attempt(node: Node, scope: Scope, where: Where): void {
    const block = partOf(node, 'block');
    if (where.runs === 'load' || !block || !partOf(node, 'handler')) return;
    const before = this.#steps;
    const inner = new Scope(scope);
    inner.declare(partsOf(block, 'body'));
    this.#children(block, inner, where);
    if (this.#steps === before) return;
    this.#report(
      'CAUGHT_STAGE',
      node,
      'try … catch catches mistakes in the definition, not failures of its stages',
      where,
    );
  }

  /** In a function that runs in the worker, where references have no values. */
  #checkInStage(node: Node, scope: Scope, where: Where): void {
    const changed =
      node.type === 'UpdateExpression'
        ? nameOf(partOf(node, 'argument'))
        : node.type === 'AssignmentExpression' && COUNTS.test(String(node.operator))
          ? nameOf(partOf(node, 'left'))
          : undefined;
    if (changed !== undefined && scope.get(changed) === 'state') {
      const message = `${this.#shown(node)} changes a variable outside the function`;
      this.#report('STATE_IN_FUNCTION', node, message, where);
    }
    if (node.type === 'Identifier' && isReference(node, scope)) {
      const message = `${this.#shown(node)} is a reference of the definition: it has no value in a function of a stage`;
      this.#report('REFERENCE_IN_FUNCTION', node, message, where);
    }
  }

  #report(code: WarningCode, node: Node, message: string, { pipeline }: Where): void {
    const { line, column } = unwrapped(node).loc.start;
    this.found.set(`${code} ${line}:${column}`, { code, message, pipeline, line, column: column + 1 });
  }

  /** The source of a node, on one line. */
  #shown({ start, end }: Node): string {
    const text = this.#source.slice(start, Math.min(end, start + 4 * LONGEST_SHOWN)).replace(/\s+/g, ' ');
    return `\`${text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text}\``;
  }
}

/** An argument, or the values of an object's fields: functions may be either. */
const withFields = (argument: Node): readonly Node[] =>
  argument.type === 'ObjectExpression'
    ? partsOf(argument, 'properties').map((property) => partOf(property, 'value') ?? property)
    : [argument];
