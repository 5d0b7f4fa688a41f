import { z } from 'zod';
import { agentOf } from '../plan/agent.js';
import type { Binding } from '../plan/binding.js';
import { type EachPlan, type Graph, type StagePlan, type Step, servedAs } from '../plan/plan.js';
import { prefixed } from '../plan/prefix.js';
import { codeName, codeOf, kindOfUse, kindsByName } from '../stages/index.js';
import type { DefinedKind, NamedCode, StageUse } from '../stages/kind.js';
import { detached, isStream, streamed } from '../stream.js';
import { checkTools } from './agent-tools.js';
import { CONTROL, type EachOptions, type RepeatOptions } from './control.js';
import { converted } from './converted-input.js';
import type { Pipeline } from './defined.js';
import { type Lenience, misfit, noObject } from './fits.js';
import { fillDefaults } from './input-defaults.js';
import { invalid, unknownOption } from './invalid.js';
import { checkUse } from './kind-options.js';
import { reference, schemaOf, stateSchemaOf, toBinding } from './reference.js';
import { itemOf, union } from './schema.js';
import { GraphScope } from './scope.js';
import { withScopedTools } from './scoped-tools.js';
import { resolveOptions, type StageOptions } from './stage-options.js';
import { withStreams } from './streams.js';
import { unfilledDefault } from './unfilled-defaults.js';
import { checkInlined, checkWait } from './within-deadline.js';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const NAME_RULE = 'lower-case letters, digits and dashes, a letter first, 63 at most';

export function checkName(name: string, what: string): void {
  if (!NAME.test(name)) throw invalid(String(name), `is not a ${what}: ${NAME_RULE}`);
}

const OBJECT_OF_FIELDS =
  'a stage’s input is an object of fields; declare it as z.object({ … }) and give it { field: value }';

/** Type of a condition; an absent value counts as false. */
const TRUTH = z.boolean().nullish();

type AnyUse = StageUse<never, never>;

/** Records the author's function as the graphs of a plan. */
export class Tracer {
  readonly code = new Map<string, NamedCode>();
  kinds: ReadonlyMap<string, DefinedKind> = new Map();
  /** Options given for each stage, used to explain the plan. */
  readonly authored = new Map<string, StageOptions>();
  readonly #pipeline: string;
  readonly #deadlineMs: number;
  readonly #ids = new Set<string>();
  #ended = false;
  #scope: GraphScope;

  constructor(name: string, deadlineMs: number) {
    this.#scope = new GraphScope(name);
    this.#pipeline = name;
    this.#deadlineMs = deadlineMs;
  }

  get scope(): GraphScope {
    return this.#scope;
  }

  stage(id: string, given: AnyUse, bound: unknown, authored: StageOptions = {}): unknown {
    this.#claim(id);
    if (typeof given?.kind !== 'string') throw invalid(id, 'needs a stage kind with its options, e.g. chat({ model })');
    const use = withScopedTools(given, this.#pipeline);
    const options = this.#scopedOptions(authored);
    const kind = kindOfUse(use);
    if (!kind) throw invalid(id, `has the unknown stage kind "${use.kind}"`);
    checkUse(id, use);
    if (kind.servedBy === 'interpreter' && !kind.calls) this.#checkControl(id, use, options);
    const uses = [use, ...(options.fallback ?? []), ...(options.degrade ?? []).map(({ to }) => to)];
    for (const each of uses) {
      if (typeof each !== 'object') continue;
      this.#keepCode(id, each);
      this.#keepKinds(id, each.definitions ?? []);
      if (each.kind === 'agent') checkTools(id, agentOf(each), this.#deadlineMs);
    }
    const step: StagePlan = {
      id,
      ...servedAs(use),
      input: toBinding(bound, `${id}.input`, this.#scope, use.input),
      ...resolveOptions(id, use, options, this.#scope, this.#deadlineMs),
    };
    const takes = noObject(use.input);
    if (takes !== undefined) throw invalid(`${id}.input`, `takes ${takes}: ${OBJECT_OF_FIELDS}`);
    checkFit(`${id}.input`, bound, use.input);
    this.authored.set(id, authored);
    this.#scope.steps.push(withStreams(step, this.#scope.steps));
    return reference(id, options.optional ? (use.output as z.ZodType).nullable() : use.output, this.#scope);
  }

  when(id: string, condition: unknown, then: () => unknown, otherwise?: () => unknown): unknown {
    this.#claim(id);
    const test = toBinding(condition, `${id}.condition`, this.#scope);
    checkFit(`${id}.condition`, condition, TRUTH);
    checkBody(id, then);
    const taken = this.#graph(id, then);
    const other = otherwise && this.#graph(id, otherwise);
    this.#scope.steps.push({
      id,
      kind: 'when',
      condition: test,
      body: taken.graph,
      ...(other && { otherwise: other.graph }),
    });
    return reference(id, union([taken.schema, other ? other.schema : z.null()]), this.#scope);
  }

  each(id: string, over: unknown, body: (item: never, index: never) => unknown, options: EachOptions = {}): unknown {
    this.#claim(id);
    checkOptions(id, options, ['concurrency', 'onFailure']);
    checkBody(id, body);
    const { concurrency = CONTROL.concurrency, onFailure = 'fail' } = options;
    checkCount(`${id}.concurrency`, concurrency, CONTROL.mostConcurrency);
    if (!['fail', 'null', 'drop'].includes(onFailure)) {
      throw invalid(`${id}.onFailure`, `must be "fail", "null" or "drop", not "${onFailure}"`);
    }
    const list = toBinding(over, `${id}.over`, this.#scope);
    const item = itemOf(schemaOf(over));
    if (item === undefined) throw invalid(`${id}.over`, 'is not a list');
    const { graph, schema } = this.#graph(id, (inner) =>
      body(reference(`${id}/item`, item, inner) as never, reference(`${id}/index`, z.int(), inner) as never),
    );
    const step = { id, kind: 'each', over: list, concurrency, onFailure, body: graph } as const;
    this.#scope.steps.push(withStreams<EachPlan>(step, this.#scope.steps));
    const values = z.array(onFailure === 'null' ? schema.nullable() : schema);
    // Read piece by piece, so its values can be as well.
    const streams = isStream(schemaOf(over));
    return reference(id, streams ? streamed(values) : values, this.#scope);
  }

  repeat(
    id: string,
    start: unknown,
    body: (state: never, round: never) => unknown,
    options: RepeatOptions<never>,
  ): unknown {
    this.#claim(id);
    checkOptions(id, options, ['until', 'atMost', 'onLimit']);
    checkBody(id, body);
    const { until, atMost, onLimit = 'accept' } = options;
    if (typeof until !== 'function') throw invalid(`${id}.until`, 'must be a function of the state');
    checkCount(`${id}.atMost`, atMost, CONTROL.mostRounds);
    if (onLimit !== 'accept' && onLimit !== 'fail') {
      throw invalid(`${id}.onLimit`, `must be "accept" or "fail", not "${onLimit}"`);
    }
    const first = toBinding(start, `${id}.start`, this.#scope);
    const state = stateSchemaOf(start);
    const { graph } = this.#graph(id, (inner) => {
      const next = body(
        reference(`${id}/state`, state, inner) as never,
        reference(`${id}/round`, z.int(), inner) as never,
      );
      checkSynchronous(id, next);
      // Nothing checks a state in a run, so one with fields that the first one refuses is taken.
      checkFit(`${id}.body`, next, state, { absent: true, stray: true });
      return next;
    });
    const test = new GraphScope(id, this.#scope);
    const holds = this.#within(test, () => until(reference(`${id}/state`, state, test) as never));
    const [step] = test.steps;
    if (step) throw invalid(`${id}.until`, `only tests the state; add "${step.id}" in the body, and return its value`);
    checkFit(`${id}.until`, holds, TRUTH);
    const condition = toBinding(holds, `${id}.until`, test);
    this.#scope.steps.push({ id, kind: 'repeat', start: first, until: condition, atMost, onLimit, body: graph });
    return reference(id, state, this.#scope);
  }

  race(id: string, contenders: Readonly<Record<string, () => unknown>>): unknown {
    this.#claim(id);
    const names = Object.keys(contenders ?? {});
    if (names.length < 2) throw invalid(id, 'needs two contenders or more');
    for (const [name, body] of Object.entries(contenders)) {
      if (!NAME.test(name)) throw invalid(`${id}.${name}`, `is not a contender’s name: ${NAME_RULE}`);
      checkBody(id, body);
    }
    const traced = Object.entries(contenders).map(([name, body]) => [name, this.#graph(id, body)] as const);
    const graphs = Object.fromEntries(traced.map(([name, { graph }]) => [name, graph]));
    this.#scope.steps.push({ id, kind: 'race', contenders: graphs });
    const value = union(traced.map(([, { schema }]) => schema));
    return reference(id, z.object({ winner: z.enum(names), value: detached(value) }), this.#scope);
  }

  run(id: string, other: Pipeline, input: unknown, options: { as?: 'inline' | 'child' } = {}): unknown {
    this.#claim(id);
    checkOptions(id, options, ['as']);
    const { as = 'inline' } = options;
    if (other?.plan === undefined) throw invalid(id, 'needs a pipeline: what pipeline() returns');
    if (as !== 'inline' && as !== 'child') throw invalid(`${id}.as`, `must be "inline" or "child", not "${as}"`);
    const binding = toBinding(input, `${id}.input`, this.#scope);
    for (const stage of other.code.values()) this.#keep(id, stage);
    this.#keepKinds(id, [...other.kinds.values()]);
    for (const [stage, given] of other.authored) this.authored.set(`${id}/${stage}`, given);
    const plan = as === 'inline' ? { ...other.plan, ...prefixed(other.plan, id) } : other.plan;
    // A shorter deadline has been checked where the other pipeline was defined.
    if (plan.deadlineMs > this.#deadlineMs) {
      if (as === 'inline') checkInlined(plan, this.#deadlineMs);
      else {
        const limit = `the pipeline’s deadline, ${this.#deadlineMs} ms`;
        throw invalid(id, `runs up to ${plan.deadlineMs} ms, longer than ${limit}`);
      }
    }
    const filled = fillDefaults(binding, other.input, id);
    // Of a reference only the fields of the pipeline's input are taken.
    checkFit(`${id}.input`, input, other.input, { stray: true });
    const wrong = misfit(input, converted(other.input), { stray: true });
    if (wrong) throw invalid(`${id}.input${wrong.path}`, `${wrong.why}: ${notConverted(other.name)}`);
    const unfilled = unfilledDefault(input, other.input);
    if (unfilled !== undefined) throw invalid(`${id}.input${unfilled}`, NOT_FILLED);
    this.#scope.steps.push({ id, kind: 'pipeline', input: filled, run: as, plan });
    return reference(id, other.output, this.#scope);
  }

  /** Traces `body` as a graph inside the current one. */
  #graph(id: string, body: (scope: GraphScope) => unknown): { graph: Graph; schema: z.ZodType } {
    const inner = new GraphScope(id, this.#scope);
    return this.#within(inner, () => {
      const result = body(inner);
      checkSynchronous(id, result);
      const output: Binding = toBinding(result ?? null, `${id}.output`, inner);
      return { graph: { stages: inner.steps as readonly Step[], output }, schema: schemaOf(result ?? null) };
    });
  }

  /** Steps that are added meanwhile become part of `scope`. */
  #within<T>(scope: GraphScope, trace: () => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    try {
      return trace();
    } finally {
      this.#scope = outer;
    }
  }

  /** The definition has returned: its plan is complete. */
  end(): void {
    this.#ended = true;
  }

  #claim(id: string): void {
    checkName(id, 'stage id');
    if (this.#ended) throw invalid(id, 'is added after the definition has returned, so no run would have it');
    if (id === 'input') throw invalid(id, 'is the name of the run’s input; choose another stage id');
    if (this.#ids.has(id)) throw invalid(id, 'is defined twice; give each step its own id');
    this.#ids.add(id);
  }

  #scopedOptions(options: StageOptions): StageOptions {
    const { fallback, degrade } = options;
    const scoped = <T extends AnyUse | 'cached' | 'skip'>(to: T) => withScopedTools(to, this.#pipeline);
    return {
      ...options,
      ...(Array.isArray(fallback) && { fallback: fallback.map(scoped) }),
      ...(Array.isArray(degrade) && { degrade: degrade.map(({ to, ...rung }) => ({ ...rung, to: scoped(to) })) }),
    };
  }

  #keepCode(id: string, use: AnyUse): void {
    const own = codeOf(use);
    for (const stage of [...(own ? [own] : []), ...(use.functions ?? [])]) this.#keep(id, stage);
  }

  #keepKinds(id: string, kinds: readonly DefinedKind[]): void {
    if (kinds.length > 0) this.kinds = kindsByName([...this.kinds.values(), ...kinds], id);
  }

  #keep(id: string, stage: NamedCode): void {
    const name = codeName(stage.name, stage.version);
    const same = this.code.get(name);
    if (same && same.run !== stage.run) throw invalid(id, `uses another function named "${name}"`);
    this.code.set(name, stage);
  }

  /**
   * A stage executed by the interpreter itself has nothing to retry or cache, and its timeout must fit into the run.
   */
  #checkControl(id: string, use: AnyUse, options: StageOptions): void {
    const [given] = Object.entries(options).filter(([, value]) => value !== undefined);
    if (given) throw invalid(`${id}.${given[0]}`, 'does not apply to a stage that calls no server; remove it');
    checkWait(id, use.with.timeoutMs, this.#deadlineMs);
  }
}

/** A traced function must be synchronous: it receives references, not values. */
export function checkSynchronous(id: string, result: unknown): void {
  if (!(result instanceof Promise)) return;
  // What the function does after its first `await` must not end the process.
  result.catch(() => undefined);
  throw invalid(id, 'is traced with an async function, which must not be async: remove async and await');
}

const notConverted = (pipeline: string): string =>
  `what callers send is converted by the schema of "${pipeline}", what another pipeline gives it is not; let it take the value as it is sent, and convert it in a code() stage`;

const NOT_FILLED =
  'has a default, and may be absent here: no run fills defaults into a list or an optional object that another step gives; let that step give the field';

function checkFit(where: string, value: unknown, want: z.ZodType, lets: Lenience = {}): void {
  const wrong = misfit(value, want, lets);
  if (wrong) throw invalid(`${where}${wrong.path}`, wrong.why);
}

function checkBody(id: string, body: unknown): void {
  if (typeof body !== 'function') throw invalid(id, 'needs a function that adds its stages and returns their value');
}

/** Rejects misspelled keys, which would otherwise be ignored silently. */
function checkOptions(id: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw invalid(id, `needs the options ${known.join(', ')}`);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw unknownOption(id, unknown, known);
}

function checkCount(field: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw invalid(field, `must be a whole number between 1 and ${most}, not ${value}`);
}
