import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../pipelines/errors.js';
import { readPlacement } from '../../../placement/document/index.js';
import { makePlacement, naivePlacements, whatIf } from '../../../placement/explain/index.js';
import { placedPool } from '../../../placement/explain/placed-pool.js';
import { attainable, buildProblem, Judge, type PlannerInput } from '../../../placement/planner/index.js';
import { loadOf } from '../../../placement/simulator/index.js';
import { CLUSTER, llmProfile, PIPELINE, PROFILES, plannerInput, profileFile } from './placement-files.js';
import { refusal } from './refusal.js';

/** A plan is hundreds of simulations: seconds on a machine that does other things too. */
const SLOW = { timeout: 120_000 };

/** Time that is counted in looks at the clock: the same plan on any machine. */
function options(objective: 'cost' | 'rate' = 'cost', timeLimit = 400) {
  let ticks = 0;
  return { objective, timeLimitMs: timeLimit, clock: () => ticks++ };
}
const plan = (input: PlannerInput, objective: 'cost' | 'rate' = 'cost') => makePlacement(input, options(objective));

describe('a plan', SLOW, () => {
  it('is the cheapest placement, with its reasons, bound, promises and what happens when things go wrong', () => {
    const placement = plan(plannerInput());
    expect(readPlacement(JSON.stringify(placement))).toEqual(placement);
    expect(placement).toMatchObject({ objective: 'cost', costPerHour: 1.4, optimal: true, gap: 0, bound: 1.4 });
    expect(placement.predicted.p99Ms).toBeLessThanOrEqual(400);
    expect(placement.predicted.throughputPerSecond).toBeCloseTo(placement.ratePerSecond, 0);
    expect(Object.keys(placement.predicted.devices)).toEqual(['gpu2/0', 'gpu2/1']);
    expect(placement.stages).toEqual({ 'voice/hear': 'whisper', 'voice/speak': 'tts' });
    expect(placement.pools.map(({ queue }) => queue)).toEqual(['pool.whisper', 'pool.tts']);
    const { reason } = placement.pools[0] ?? {};
    expect(reason).toMatch(/l4: the load keeps at least 0\.\d+ busy in batches of up to \d/);
    expect(reason).toContain('a100 would take at least 1 (2.40');
    expect(placement.degraded.length).toBeGreaterThan(0);
    expect(placement.robustness.slowerBy50Percent.p99Ms).toBeGreaterThan(placement.predicted.p99Ms);
    expect(placement.next?.p99Ms).toBeLessThan(placement.predicted.p99Ms);
  });

  it('uses the server on its device that names its model, before one that names none', () => {
    const input = plannerInput();
    const at = (url: string, ...models: string[]) => ({ url, connector: 'triton', device: 'gpu1/0', models });
    const used = (...endpoints: ReturnType<typeof at>[]) => {
      const problem = buildProblem({ ...input, inventory: { ...input.inventory, endpoints } });
      const candidate = { configs: [0, 0], replicas: [0, 1].map((pool) => ({ pool, devices: [pool] })) };
      return placedPool(problem, candidate, 0).replicas[0]?.endpoint;
    };
    expect(used(at('any:1'), at('own:1', 'whisper'))).toBe('own:1');
    expect(used(at('others:1', 'tts'), at('any:1'))).toBe('any:1');
    expect(used(at('others:1', 'tts'))).toBeUndefined();
  });

  it('of an LLM says how prompts are divided among steps, on each kind of device as its profile does', () => {
    type Stated = { readonly chunkTokens?: number };
    const of = (kind: string, promptMs: number, tokenMs: number, stated: Stated) => {
      const { file, text } = llmProfile('assistant', kind, promptMs, tokenMs);
      return { file, text: JSON.stringify({ ...JSON.parse(text), ...stated }) };
    };
    const pipelines = [JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'a', model: 'assistant' }] })];
    const placedOn = (a100: Stated, l4: Stated) => {
      const profiles = [of('a100', 40, 8, a100), of('l4', 90, 20, l4)];
      const problem = buildProblem(plannerInput({ pipelines, profiles, p99Ms: 9_000, rate: 0.5 }));
      const replicas = ['gpu1/0', 'gpu2/0'].map((id) => ({
        pool: 0,
        devices: [problem.devices.findIndex((device) => device.id === id)],
      }));
      const { chunkTokens, replicas: placed } = placedPool(problem, { configs: [0], replicas }, 0);
      const count = placed.filter((each) => each.chunkTokens !== undefined).length;
      return { count, ...Object.fromEntries(placed.map((each) => [each.devices[0], each.chunkTokens ?? chunkTokens])) };
    };
    const [large, small] = [{ chunkTokens: 8_192 }, { chunkTokens: 2_048 }];
    expect(placedOn(large, small)).toEqual({ 'gpu1/0': 8_192, 'gpu2/0': 2_048, count: 1 });
    expect(placedOn(large, large)).toEqual({ 'gpu1/0': 8_192, 'gpu2/0': 8_192, count: 0 });
    // A replica whose profile states none has none.
    expect(placedOn({}, {})).toEqual({ 'gpu1/0': undefined, 'gpu2/0': undefined, count: 0 });
    expect(placedOn(large, {})).toEqual({ 'gpu1/0': 8_192, 'gpu2/0': undefined, count: 1 });
    expect(placedOn({}, small)).toEqual({ 'gpu1/0': undefined, 'gpu2/0': 2_048, count: 1 });
    expect(plan(plannerInput()).pools[0]).not.toHaveProperty('chunkTokens');
  });

  it('says what a CPU would take by how many calls it serves at once', () => {
    const cluster = `${CLUSTER}      - { kind: xeon, memory: 64GiB, concurrency: 8, pricePerHour: 0.30 }\n`;
    const profiles = [profileFile('whisper', 'l4', 50), profileFile('whisper', 'xeon', 1_000)];
    const pipelines = [JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'hear', model: 'whisper' }] })];
    const problem = buildProblem(plannerInput({ cluster, profiles, pipelines, rate: 5 }));
    const device = problem.devices.findIndex(({ kind }) => kind === 'l4');
    const { reason } = placedPool(problem, { configs: [0], replicas: [{ pool: 0, devices: [device] }] }, 0);
    // Some 3 of its cores are busy.
    expect(reason).toContain('xeon would take at least 1 (0.30 an hour)');
  });

  it('says that a device does not hold the longest calls, and not what the others would take of it', () => {
    const pipelines = [JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'a', model: 'assistant' }] })];
    const profiles = [llmProfile('assistant', 'a100', 40, 8), llmProfile('assistant', 'l4', 90, 20)];
    const timesMs = Float64Array.from({ length: 10 }, (_, run) => 60_000 * run);
    const load = loadOf(timesMs, { tokens_in: timesMs.map((_, run) => (run < 4 ? 150_000 : 200)) });
    const problem = buildProblem({ ...plannerInput({ pipelines, profiles, p99Ms: 100_000 }), load });
    const { reason } = placedPool(problem, { configs: [0], replicas: [{ pool: 0, devices: [0] }] }, 0);
    expect(reason).toContain('l4 does not hold its longest calls (40 % of all)');
    expect(reason).not.toContain('would take');
  });

  it('is the same each time', () => {
    expect(plan(plannerInput())).toEqual(plan(plannerInput()));
  });

  it('takes dearer devices where the objective is tight, and more where the rate is high', () => {
    const tight = plan(plannerInput({ p99Ms: 120, rate: 2 }));
    expect(tight.pools.flatMap(({ replicas }) => replicas.map(({ devices }) => devices[0]))).toContain('gpu1/1');
    expect(plan(plannerInput({ rate: 20 })).costPerHour).toBeGreaterThan(1.4);
  });

  it('chooses the better variant where it costs no more, and the faster one within a quality floor where it is cheaper', () => {
    const variants = [
      profileFile('tts', 'l4', 20, { variant: 'int8', quality: 0.8 }),
      profileFile('tts', 'l4', 70, { variant: 'fp16', quality: 0.9 }),
      profileFile('whisper', 'l4', 20),
    ];
    const variantOf = (more: Parameters<typeof plannerInput>[0]) =>
      plan(plannerInput({ profiles: variants, ...more })).pools.find(({ model }) => model === 'tts')?.variant;
    expect(variantOf({ rate: 18, p99Ms: 200 })).toBe('int8');
    expect(variantOf({ rate: 1, p99Ms: 900 })).toBe('fp16');
    expect(variantOf({ rate: 8, qualityFloor: 0.85 })).toBe('fp16');
  });

  it('places a model that is too large for one device on several of one node, and nothing beside it', () => {
    const wide = [
      PROFILES[1],
      profileFile('tts', 'a100', 40, {
        variant: 'tp2',
        parallel: { tensor: 2, pipeline: 1 },
        memory: { weights: '120GiB' },
      }),
    ].flatMap((profile) => profile ?? []);
    const placement = plan(plannerInput({ profiles: wide }));
    const tts = placement.pools.find(({ model }) => model === 'tts');
    expect(tts).toMatchObject({ parallel: { tensor: 2 }, replicas: [{ devices: ['gpu1/0', 'gpu1/1'] }] });
    expect(placement.pools[0]?.replicas.every(({ devices }) => devices[0]?.startsWith('gpu2/'))).toBe(true);
    const lone = CLUSTER.replace('count: 2', 'count: 1');
    expect(refusal(() => plan(plannerInput({ profiles: wide, cluster: lone })))).toMatchObject({
      code: 'MODEL_FITS_NOWHERE',
      fields: [expect.stringMatching(/needs 2 a100 on one node, and no node has as many/)],
    });
  });

  it('lets pipelines share pools', () => {
    const other = JSON.stringify({ format: 1, name: 'dictation', stages: [{ id: 'hear', model: 'whisper' }] });
    const both = plan(plannerInput({ pipelines: [PIPELINE, other] }));
    expect(both.stages).toEqual({ 'voice/hear': 'whisper', 'voice/speak': 'tts', 'dictation/hear': 'whisper' });
    expect(both.pools).toHaveLength(2);
    expect(both.ratePerSecond).toBeGreaterThan(9);
  });

  it('of objective rate holds at least what any naive placement does, and no more than its bound', () => {
    const input = plannerInput();
    const placement = plan(input, 'rate');
    const problem = buildProblem(input);
    const judge = new Judge(problem);
    const naive = naivePlacements(problem);
    expect(naive.map(({ name }) => name)).toEqual(['all on one device', 'round robin', 'memory table']);
    for (const { name, candidate } of naive) {
      expect(placement.ratePerSecond, name).toBeGreaterThanOrEqual(0.98 * 5 * attainable(judge, candidate));
    }
    expect(placement.ratePerSecond).toBeLessThanOrEqual(placement.bound);
  });
});

describe('what cannot be planned', SLOW, () => {
  it('names the line of a model that fits nowhere', () => {
    const huge = [PROFILES[0], profileFile('tts', 'l4', 70, { memory: { weights: '30GiB' } })].flatMap((p) => p ?? []);
    expect(refusal(() => plan(plannerInput({ profiles: huge })))).toEqual({
      code: 'MODEL_FITS_NOWHERE',
      fields: [
        'tts-l4.json:7 memory.weights: "tts" needs 30 GiB on each of 1 l4, which has 24 GiB: add a larger device, or profile a smaller or a more parallel variant',
      ],
    });
  });

  it('names the objective, and the lines of the times that it is below', () => {
    const { code, fields } = refusal(() => plan(plannerInput({ p99Ms: 40 })));
    expect(code).toBe('SLO_UNREACHABLE');
    expect(fields).toEqual([
      // The shortest times of calls with medians of 20 and 30 ms.
      '--slo-p99: 40 ms is less than the 45 ms that the stages of voice take one after the other on idle devices: allow more than 45 ms, or profile faster variants or devices',
      'whisper-a100.json:10 latency: voice/hear takes 18 ms at best',
      'tts-a100.json:10 latency: voice/speak takes 27 ms at best',
    ]);
  });

  it('names what was never profiled, and the device kinds that nobody has', () => {
    const without = PROFILES.slice(0, 2);
    expect(refusal(() => plan(plannerInput({ profiles: without })))).toEqual({
      code: 'PROFILE_MISSING',
      fields: ['voice/speak: there is no profile of the model "tts" (there are whisper): profile it'],
    });
    const elsewhere = [...without, profileFile('tts', 'h100', 10)];
    expect(refusal(() => plan(plannerInput({ profiles: elsewhere })))).toEqual({
      code: 'PROFILE_MISSING',
      fields: [
        'tts-h100.json:4 deviceKind: the inventory has no "h100" (did you mean "a100"?): profile "tts" (for voice/speak) on a kind that it has',
      ],
    });
    expect(refusal(() => plan(plannerInput({ qualityFloor: 1.1 }))).fields[0]).toMatch(
      /^--quality-floor: .*the best has 1/,
    );
  });

  it('says why a load is infeasible, and what would make it feasible', () => {
    let message = '';
    try {
      makePlacement(plannerInput({ rate: 400 }), options('cost', 60));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      expect(error.code).toBe('PLACEMENT_INFEASIBLE');
      message = error.message;
    }
    expect(message).toMatch(/^infeasible, because no placement on the 6 devices/);
    expect(message).toMatch(/a rate of at most \d+\.\d\d runs a second/);
    expect(message).toMatch(/refusing \d+\.\d % of the runs/);
  });
});

describe('what if', () => {
  const answerTo = (question: string) => whatIf(plannerInput(), question);

  it('adds and removes devices, and changes rate and objective', () => {
    for (const question of ['add 2×A100', 'add 2 a100', 'add 2x a100']) {
      expect(
        answerTo(question).inventory.devices.filter(({ kind }) => kind === 'a100'),
        question,
      ).toHaveLength(4);
    }
    expect(answerTo('add l4').inventory.devices).toHaveLength(7);
    expect(answerTo('without gpu2').inventory.devices.map(({ id }) => id)).toEqual(['gpu1/0', 'gpu1/1']);
    expect(answerTo('without gpu1/0').inventory.devices).toHaveLength(5);
    const cluster = CLUSTER.replace('name: gpu2', 'name: gpu1.lan');
    expect(whatIf(plannerInput({ cluster }), 'without gpu1').inventory.devices).toHaveLength(4);
    expect(answerTo('rate 2x').load.timesMs[9]).toBeCloseTo((plannerInput().load.timesMs[9] ?? 0) / 2);
    expect(answerTo('slo 0.6s').objective).toEqual({ p99Ms: 600 });
  });

  it.each([
    ['make it fast', /ask "add 1×a100"/],
    ['add 1×b100', /the inventory has no "b100" \(did you mean "a100"/],
    ['without gpu7/0', /no device or node "gpu7\/0" \(did you mean/],
    ['rate 0x', /ask/],
  ])('refuses "%s"', (question, message) => {
    const { code, fields } = refusal(() => answerTo(question));
    expect(code).toBe('INVALID_INPUT');
    expect(fields[0]).toMatch(message);
  });
});
