import type fc from 'fast-check';
import { withStreams } from '../../../pipelines/definition/streams.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { seal } from '../../../pipelines/plan/hash.js';
import {
  type Alternative,
  allSteps,
  type Binding,
  type Graph,
  PLAN_VERSION,
  type Plan,
  type RacePlan,
  type StagePlan,
  type Step,
  type SubPipelinePlan,
  streamsInto,
} from '../../../pipelines/plan/index.js';
import { type Chooser, chosen } from './chooser.js';
import { binding, condition, type Readable, randomValue } from './random-bindings.js';
import type { Script } from './script.js';

/** A plan with an input for it, and the fields of its output that the run is asked for. */
export interface RandomRun {
  readonly plan: Plan;
  readonly input: JsonObject;
  readonly outputs?: readonly string[];
}

/** Control flow nests this deep. */
const DEEPEST = 3;
/** Most steps of one plan: a run on a real server takes some tens of milliseconds a stage. */
const MOST_STEPS = 14;
/** Most times that one stage may run, by the loops around it. */
const MOST_TURNS = 9;
/** Far above what any of these runs takes: no limit of time may decide a property. */
const AMPLE_MS = 120_000;

/** Codes that scripted stages fail with: both of what is tried again and of what is not, and one that no fallback helps. */
const CODES = ['BACKEND_UNAVAILABLE', 'BACKEND_BROKEN', 'CODE_FAILED', 'BACKEND_REJECTED', 'INVALID_INPUT'] as const;

interface Around {
  readonly readable: readonly Readable[];
  readonly prefix: string;
  readonly depth: number;
  readonly turns: number;
  /** Nothing in it may fail for good. */
  readonly safe: boolean;
}

const INPUT: readonly Readable[] = ['n', 'list', 'text', 'ok'].map((field) => ({ path: `input.${field}`, field }));

/** A valid plan made of what `choose` says: scripted stages under all control flow, read by random bindings. */
const planOf = (choose: Chooser): RandomRun => made(choose, false);

const planWithStreamsOf = (choose: Chooser): RandomRun => made(choose, true);

export const randomPlans: fc.Arbitrary<RandomRun> = chosen(planOf);

/** The same with LLMs, voices and functions that yield among the stages. */
export const streamingPlans: fc.Arbitrary<RandomRun> = chosen(planWithStreamsOf);

/** Whether a stage of a plan reads the stream of another: one in five of `streamingPlans`. No filter of fast-check may ask: it would draw the same again. */
export const hasStreams = ({ plan }: RandomRun): boolean =>
  [...allSteps(plan)].some((step) => streamsInto(step).length > 0);

function made(choose: Chooser, streams: boolean): RandomRun {
  const maker = new PlanMaker(choose, streams);
  const around: Around = { readable: INPUT, prefix: '', depth: 0, turns: 1, safe: choose.chance(0.5) };
  const { stages, output } = maker.graph(around, 4, true);
  const plan = seal({ planVersion: PLAN_VERSION, name: 'random', deadlineMs: AMPLE_MS, stages, output });
  const input = Object.fromEntries(INPUT.map(({ field }) => [field, randomValue(choose, field)]));
  const fields = isJsonObject(output) ? Object.keys(output) : [];
  const outputs = fields.filter(() => choose.chance(0.5));
  return { plan, input, ...(choose.chance(0.2) && outputs.length > 0 && { outputs }) };
}

class PlanMaker {
  readonly #choose: Chooser;
  /** Stages all on queues, all inline, or each by itself. */
  readonly #executions: readonly ('queued' | 'inline')[];
  readonly #streams: boolean;
  #steps = 0;

  constructor(choose: Chooser, streams: boolean) {
    this.#choose = choose;
    this.#streams = streams;
    this.#executions = choose.pick([['queued'], ['inline'], ['queued', 'inline']]);
  }

  graph(around: Around, most: number, object: boolean): Graph {
    const stages: Step[] = [];
    let { readable } = around;
    for (let i = this.#choose.int(1, most); i > 0 && (this.#steps < MOST_STEPS || stages.length === 0); i--) {
      const step = this.#step({ ...around, readable });
      // Which items of one have called something before its source fails, the reference does not tell.
      const mayStream = 'policy' in step || (step.kind === 'each' && around.safe);
      stages.push(mayStream ? withStreams(step, stages) : step);
      readable = [...readable, ...readableOf(step)];
    }
    const fields = ['a', 'b', 'c'].slice(0, this.#choose.int(1, 3));
    const output =
      object || this.#choose.chance(0.5)
        ? Object.fromEntries(fields.map((field) => [field, binding(this.#choose, readable, 2)]))
        : binding(this.#choose, readable, 2);
    return { stages, output };
  }

  #step(around: Around): Step {
    this.#steps += 1;
    const mayMap = this.#streams && around.safe && around.depth < DEEPEST && around.turns <= MOST_TURNS / 3;
    if (mayMap && around.readable.some(({ field }) => STREAMED.has(field)) && this.#choose.chance(0.2))
      return this.#each(`${around.prefix}each${this.#steps}`, { ...around, depth: around.depth + 1 });
    if (this.#streams && this.#choose.chance(0.6))
      return this.#choose.chance(0.4) ? this.#function(around) : this.#streaming(around);
    if (around.depth >= DEEPEST || this.#choose.chance(0.5)) return this.#stage(around, this.#script(around.safe));
    const inner: Around = { ...around, depth: around.depth + 1 };
    const kind = this.#choose.pick(['when', 'each', 'repeat', 'race', 'pipeline'] as const);
    if ((kind === 'each' || kind === 'repeat') && around.turns > MOST_TURNS / 3)
      return this.#stage(around, this.#script(around.safe));
    const id = `${around.prefix}${kind}${this.#steps}`;
    const made = {
      when: () => this.#when(id, inner),
      each: () => this.#each(id, inner),
      repeat: () => this.#repeat(id, inner),
      race: () => this.#race(id, inner),
      pipeline: () => this.#pipeline(id, inner),
    };
    return made[kind]();
  }

  #when(id: string, around: Around): Step {
    const otherwise = this.#choose.chance(0.6) && { otherwise: this.graph(around, 2, false) };
    return {
      id,
      kind: 'when',
      condition: condition(this.#choose, around.readable, 2),
      body: this.graph(around, 2, false),
      ...otherwise,
    };
  }

  /** An LLM, or a voice that says the sentences of one. */
  #streaming(around: Around): StagePlan {
    const choose = this.#choose;
    const { fallback = [], ...stage } = this.#stage(around, this.#script(around.safe));
    const told = around.readable.filter(({ field }) => STREAMED.has(field) && field !== 'spoken');
    const speaks = told.length > 0 && choose.chance(0.6);
    const { salt } = stage.with as Script;
    const restarts = !speaks && choose.chance(0.25);
    // A fallback says the same, as another server of the same model: else a stream could not go on, unless it starts over.
    const more = (): Partial<Script> =>
      speaks
        ? { sentence: choose.int(0, 2) }
        : {
            ...{ salt, breaksAt: choose.int(0, 80) },
            ...(restarts ? { other: true as const } : choose.chance(0.5) && { continues: true as const }),
          };
    const kind = speaks ? 'synthesize' : 'chat';
    const own = <T extends Alternative>(way: T): T => ({
      ...way,
      kind,
      with: { ...way.with, ...more() } as JsonObject,
    });
    const ways = fallback.map((way) => (way === 'skip' ? way : own(way)));
    // A voice that gets no text fails.
    if (speaks && around.safe && !ways.includes('skip')) ways.push('skip');
    const text = streamOf(choose.pick(told.length > 0 ? told : INPUT));
    const [[, other] = []] = Object.entries(stage.input as JsonObject);
    const input = speaks ? { text, ...(choose.chance(0.4) && { p: other as Json }) } : stage.input;
    const all = own(stage);
    const lost = speaks && choose.chance(0.1) && { with: { ...all.with, lost: true } };
    const onCut = restarts && { onCut: 'restart' as const };
    const read = speaks && { streamed: ['pieces'] };
    return { ...all, ...lost, ...onCut, ...read, input, ...(ways.length > 0 && { fallback: ways }) };
  }

  /** A function that yields, or reads a stream, or both. */
  #function(around: Around): StagePlan {
    const choose = this.#choose;
    const { fallback = [], ...stage } = this.#stage(around, this.#script(around.safe));
    const read = around.readable.filter(({ field }) => STREAMED.has(field));
    const takes = read.length > 0 && choose.chance(0.6);
    const yields = !takes || choose.chance(0.5);
    const { salt } = stage.with as Script;
    // An alternative yields the same: else a stream could not go on.
    const own = <T extends Alternative>(way: T): T => {
      const more: Partial<Script> = {
        ...{ salt, breaksAt: choose.int(0, 4) },
        ...(choose.chance(0.5) && { continues: true }),
        ...(yields && { yields: true }),
        ...(takes && { takes: ['text'] }),
      };
      return { ...way, with: { ...way.with, ...more } as JsonObject };
    };
    const ways = fallback.map((way) => (way === 'skip' ? way : own(way)));
    const [[, other] = []] = Object.entries(stage.input as JsonObject);
    const input = takes
      ? { text: streamOf(choose.pick(read)), ...(choose.chance(0.4) && { p: other as Json }) }
      : stage.input;
    return { ...own(stage), input, ...(ways.length > 0 && { fallback: ways }) };
  }

  #each(id: string, around: Around): Step {
    const length = this.#choose.int(0, 3);
    const lists = around.readable.flatMap(({ path, field }): Binding[] =>
      field === 'list'
        ? [{ $ref: path }]
        : STREAMED.has(field) && field !== 'values'
          ? [streamOf({ path, field })]
          : [],
    );
    const made = () => Array.from({ length }, () => binding(this.#choose, around.readable, 1));
    const streams = around.readable.filter(({ field }) => STREAMED.has(field) && field !== 'values');
    const source = this.#streams && streams.length > 0 && this.#choose.chance(0.7) && this.#choose.pick(streams);
    const other = () => (this.#choose.chance(0.5) ? made() : lists.length > 0 ? this.#choose.pick(lists) : []);
    const over: Binding = source ? streamOf(source) : other();
    const own: Readable[] = [
      { path: `${id}/item`, field: 'any' },
      { path: `${id}/item.n`, field: 'n' },
      { path: `${id}/index`, field: 'n' },
    ];
    const onFailure = this.#choose.pick(['fail', 'null', 'drop'] as const);
    const inner: Around = {
      ...around,
      // Something that reads the whole as well waits for it.
      readable: [...around.readable.filter((one) => !source || !sameStep(one, source)), ...own],
      turns: around.turns * 3,
      // A failure that ends the item only.
      safe: around.safe && onFailure === 'fail',
    };
    const body = this.graph(inner, 2, false);
    return { id, kind: 'each', over, concurrency: this.#choose.int(1, 3), onFailure, body };
  }

  #repeat(id: string, around: Around): Step {
    const own: Readable[] = [
      { path: `${id}/state.v`, field: 'any' },
      { path: `${id}/state.round`, field: 'n' },
      { path: `${id}/round`, field: 'n' },
    ];
    const inner: Around = { ...around, readable: [...around.readable, ...own], turns: around.turns * 3 };
    const { stages, output } = this.graph(inner, 2, false);
    const atMost = this.#choose.int(1, 3);
    const rounds: Binding = { $op: 'gte', of: [{ $ref: `${id}/state.round` }, this.#choose.int(1, 4)] };
    const other = condition(this.#choose, [...around.readable, ...own.slice(0, 2)], 1);
    return {
      id,
      kind: 'repeat',
      start: { v: binding(this.#choose, around.readable, 1), round: 0 },
      until: this.#choose.chance(0.5) ? rounds : { $op: 'or', of: [rounds, other] },
      atMost,
      onLimit: around.safe ? 'accept' : this.#choose.pick(['accept', 'fail'] as const),
      body: { stages, output: { v: output, round: { $ref: `${id}/round` } } },
    };
  }

  /** One contender may succeed; the others fail, or never end where the one is sure to succeed. */
  #race(id: string, around: Around): RacePlan {
    const sure = around.safe || this.#choose.chance(0.5);
    const names = ['x', 'y', 'z'].slice(0, this.#choose.int(1, 3));
    const winner = this.#choose.pick(names);
    const contenders = names.map((name) => {
      if (name === winner) return [name, this.graph({ ...around, safe: sure }, 2, false)] as const;
      this.#steps += 1;
      const script: Script = sure && this.#choose.chance(0.5) ? { salt: 0, never: true } : failing(this.#choose);
      const { fallback: _, ...loser } = this.#stage(around, script);
      return [name, { stages: [loser], output: { $ref: `${loser.id}.n` } }] as const;
    });
    return { id, kind: 'race', contenders: Object.fromEntries(contenders) };
  }

  #pipeline(id: string, around: Around): SubPipelinePlan {
    const readable = INPUT.map(({ path, field }) => ({ path: `${id}/${path}`, field }));
    const input = Object.fromEntries(INPUT.map(({ field }) => [field, binding(this.#choose, around.readable, 1)]));
    // A list where the inner pipeline goes over one, as its schema would ask.
    const graph = this.graph({ ...around, readable, prefix: `${id}/` }, 3, true);
    const plan = seal({ planVersion: PLAN_VERSION, name: 'inner', deadlineMs: AMPLE_MS, ...graph });
    return {
      id,
      kind: 'pipeline',
      run: 'inline',
      input: { ...input, list: [1, 2].slice(this.#choose.int(0, 2)) },
      plan,
    };
  }

  #script(safe: boolean): Script {
    const choose = this.#choose;
    const ms = choose.chance(0.3) ? { ms: choose.int(0, 4) } : {};
    const salt = choose.int(0, 999);
    if (choose.chance(0.75)) return { salt, ...ms };
    if (safe || choose.chance(0.6)) return { salt, ...ms, failures: 1, code: 'BACKEND_UNAVAILABLE' };
    return { ...failing(choose), ...ms };
  }

  #stage(around: Around, script: Script): StagePlan {
    const choose = this.#choose;
    const id = `${around.prefix}s${this.#steps}`;
    const scripted = (name: string, own: Script): Alternative => ({
      kind: 'code',
      model: name,
      with: own as unknown as JsonObject,
    });
    const mayFail = 'failures' in script;
    const fallback: (Alternative | 'skip')[] = [];
    if (choose.chance(mayFail ? 0.3 : 0.1)) fallback.push(scripted(`${id}-second`, this.#script(around.safe)));
    if (choose.chance(mayFail ? 0.3 : 0.1)) fallback.push('skip');
    const on = !around.safe && choose.chance(0.1) && { on: ['BACKEND_BROKEN'] };
    const input: Record<string, Json> = {};
    for (const field of ['p', 'q', 'r'].slice(0, choose.int(1, 3))) input[field] = binding(choose, around.readable, 2);
    return {
      id,
      ...scripted(id, script),
      input,
      policy: {
        retry: { attempts: choose.int(around.safe ? 2 : 1, 3), initialMs: 1, factor: 1, maxMs: 1, ...on },
        timeout: { attemptMs: AMPLE_MS, totalMs: AMPLE_MS },
        execution: choose.pick(this.#executions),
      },
      ...(fallback.length > 0 && { fallback }),
    };
  }
}

const failing = (choose: Chooser): Script => ({
  salt: choose.int(0, 999),
  failures: 9,
  code: choose.pick(CODES),
});

/** What streams while it is made: texts of LLMs, items of functions, pieces of voices, and values of an `each`. */
const STREAMED: ReadonlySet<string> = new Set(['told', 'items', 'spoken', 'values']);

const sameStep = (one: Readable, other: Readable): boolean => one.path.split('.')[0] === other.path.split('.')[0];

const streamOf = ({ path, field }: Readable): Binding => {
  if (field === 'spoken') return { $op: 'chunks', of: [{ $ref: path.replace(/\.chunks$/, '') }] };
  return { $op: field === 'told' ? 'sentences' : 'entries', of: [{ $ref: path }] };
};

/** What can be read of a step that has ended; some of it is not there, which is null. */
function readableOf({ id, ...step }: Step): Readable[] {
  if ('policy' in step && step.kind === 'chat') return [{ path: `${id}.text`, field: 'told' }];
  if ('policy' in step && step.kind === 'synthesize') {
    return [
      { path: `${id}.audio.uri`, field: 'text' },
      { path: `${id}.chunks`, field: 'spoken' },
    ];
  }
  if ('policy' in step && (step.with as Script).yields) return [{ path: `${id}.items`, field: 'items' }];
  if ('policy' in step)
    return ['n', 'list', 'text', 'ok', 'missing'].map((field) => ({ path: `${id}.${field}`, field }));
  const whole: Readable = { path: id, field: step.kind === 'each' ? 'list' : 'any' };
  const fields = { when: ['a'], each: [], repeat: ['v', 'round'], race: ['winner', 'value'], pipeline: ['a', 'b'] };
  const values: Readable[] = step.kind === 'each' ? [{ path: id, field: 'values' }] : [];
  return [whole, ...values, ...fields[step.kind].map((field) => ({ path: `${id}.${field}`, field: 'any' }))];
}
