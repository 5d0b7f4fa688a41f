import { describe, expect, it } from 'vitest';
import { pipelines } from '../../../../pipelines/catalog/index.js';
import { planFindings } from '../../../../pipelines/inspect/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { seal } from '../../../../pipelines/plan/hash.js';
import type { Plan } from '../../../../pipelines/plan/index.js';
import { planJsonSchema } from '../../../../pipelines/plan/plan-schema.js';
import { everything } from './everything.js';

// biome-ignore lint/suspicious/noExplicitAny: a plan is broken in every way
type Anything = any;
/** The plan of everything, changed and sealed again. */
function changed(change: (plan: Anything) => void, sealAgain = true): unknown {
  const plan = structuredClone(everything.plan) as Anything;
  change(plan);
  const { version, ...body } = plan;
  return sealAgain ? seal(body) : { ...body, version };
}
/** Sets a field of a step, or of the plan where none is named. */
const put = (step: string, path: string, value: unknown) => (plan: Anything) => {
  const keys = path.split('.');
  const last = keys.pop() as string;
  const whole = step === '' ? plan : plan.stages.find(({ id }: JsonObject) => id === step);
  const at = keys.reduce((inner, key) => inner[key], whole);
  at[last] = value;
};

describe('a plan from a file', () => {
  it.each([...pipelines, everything].map(({ name, plan }) => [name, plan] as const))('%s is right', (_, plan) => {
    expect(planFindings(JSON.parse(JSON.stringify(plan)))).toEqual([]);
  });

  it.each<[string, string, RegExp, (plan: Anything) => void]>([
    ['another format', '-', /planVersion/, put('', 'planVersion', 2)],
    ['an unknown field', 'answer', /retries/, put('answer', 'retries', 3)],
    ['an unknown kind', 'answer', /kind/, put('answer', 'kind', 'sing')],
    ['no attempts', 'answer', /policy\.retry\.attempts/, put('answer', 'policy.retry.attempts', 0)],
    ['half a millisecond', 'first', /attemptMs/, put('first', 'policy.timeout.attemptMs', 0.5)],
    [
      'an attempt longer than the total',
      'first',
      /attemptMs of 900000/,
      put('first', 'policy.timeout.attemptMs', 900_000),
    ],
    ['a loop without a width', 'all', /concurrency/, put('all', 'concurrency', 0)],
    ['an unknown code', 'first', /policy\.retry\.on/, put('first', 'policy.retry.on', ['TEAPOT'])],
    ['a step that reads a later one', 'first', /reads "second"/, put('first', 'input.n', { $ref: 'second.n' })],
    ['a step that reads into a branch', 'child', /reads "third"/, put('child', 'input.n', { $ref: 'third.n' })],
    ['an output of nowhere', 'output', /reads "gone"/, put('', 'output.n', { $ref: 'gone.n' })],
    ['an id twice', 'first', /twice/, put('second', 'id', 'first')],
    ['the id of the input', 'input', /name of the run’s input/, put('second', 'id', 'input')],
    ['an unknown operator', 'first', /unknown operator "foo"/, put('first', 'input.n', { $op: 'foo', of: [1] })],
    ['an unknown operator in its output', 'output', /"foo"/, put('', 'output.n', { $op: 'foo', of: [1] })],
    ['reserves beyond the deadline', '-', /reserves of 700000/, put('answer', 'reserveMs', 700_000)],
    ['no stages', '-', /stages/, put('', 'stages', undefined)],
  ])('with %s is refused, naming the step', (_, step, text, change) => {
    const found = planFindings(changed(change));
    expect(found.length).toBeGreaterThan(0);
    const hit = found.find(({ message }) => text.test(message));
    expect(hit, JSON.stringify(found)).toMatchObject({
      stage: step,
      code: 'INVALID_PIPELINE',
      level: 'error',
      pipeline: 'everything',
    });
  });

  it('whose hash is another is refused', () => {
    const [found] = planFindings(changed(put('', 'deadlineMs', 1_000_000), false));
    expect(found?.message).toMatch(/hash/);
  });

  it.each([[null], [[]], ['plan'], [{}]])('that is none is refused: %j', (value) => {
    expect(planFindings(value).length).toBeGreaterThan(0);
  });
});

it('the JSON Schema describes every kind of step', () => {
  const { $defs } = planJsonSchema() as { $defs: Record<string, unknown> };
  for (const name of ['Stage', 'When', 'Each', 'Repeat', 'Race', 'SubPipeline', 'Binding', 'StagePolicy']) {
    expect(Object.keys($defs)).toContain(name);
  }
  // The same twice: it is a file of the repository.
  expect(planJsonSchema()).toEqual(planJsonSchema());
});

it('the plan is a plan', () => {
  const plan: Plan = everything.plan;
  expect(plan.planVersion).toBe(3);
});
