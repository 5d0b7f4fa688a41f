import { describe, expect, it } from 'vitest';
import { voiceAssistant } from '../../../pipelines/catalog/index.js';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText, whatIf } from '../../../placement/explain/index.js';
import { buildProblem, horizonMs, Judge, LowerBound, type PlannerInput } from '../../../placement/planner/index.js';
import { objectiveOf } from '../../../placement/replan/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { readPipelineShape, shapeOf, stageObjectives } from '../../../placement/workload/index.js';
import { llmProfile, plannerInput, profileFile } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const VOICE = { format: 1, name: 'voice' };
const STAGES = [
  { id: 'answer', model: 'assistant' },
  { id: 'speak', model: 'tts', after: ['answer'], streamFrom: 'answer' },
];
const shapes = (...stages: (typeof STAGES)[]) =>
  stages.map((own, i) =>
    readPipelineShape(JSON.stringify({ ...VOICE, name: i === 0 ? 'voice' : `voice${i}`, stages: own }), 'p.json'),
  );
const PROFILES = [
  llmProfile('assistant', 'a100', 40, 8),
  llmProfile('assistant', 'l4', 120, 22),
  profileFile('tts', 'a100', 30),
  profileFile('tts', 'l4', 70),
];

/** An assistant that speaks while it thinks, with objectives of its stages and none for whole runs. */
function spoken(slo: readonly string[], more: Parameters<typeof plannerInput>[0] = {}, streams = true): PlannerInput {
  const stages = STAGES.map(({ streamFrom, ...stage }) => (streams && streamFrom ? { ...stage, streamFrom } : stage));
  const input = plannerInput({
    pipelines: [JSON.stringify({ ...VOICE, stages })],
    profiles: PROFILES,
    rate: 1,
    p99Ms: 3_000,
    ...more,
  });
  const load = loadOf(arrivals({ count: 600, rate: more.rate ?? 1, seed: 1 }));
  const objective = { stages: stageObjectives(input.pipelines, slo) };
  return { ...input, load, objective: more.p99Ms === undefined ? objective : { ...objective, p99Ms: more.p99Ms } };
}

function plan(input: PlannerInput, timeLimitMs = 300) {
  let ticks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs, clock: () => ticks++ });
}
const figure = (placement: ReturnType<typeof plan>, i = 0) => placement.predicted.figures?.[i]?.ms ?? Number.NaN;
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join('  ')).join('\n');

describe('objectives of stages', () => {
  it('are read by stage, metric and percentile', () => {
    expect(stageObjectives(shapes(STAGES), ['answer.ttft.p99=400ms', 'voice:speak.ttfa.p95=1.2s'])).toEqual([
      { stage: 'voice/answer', metric: 'ttft', share: 0.99, ms: 400 },
      { stage: 'voice/speak', metric: 'ttfa', share: 0.95, ms: 1_200 },
    ]);
    // An id may contain dots: that of a cache's embedder.
    const embed = shapes([{ id: 'answer.embed', model: 'minilm' }] as typeof STAGES);
    expect(stageObjectives(embed, ['answer.embed.latency.p95=20ms'])[0]?.stage).toBe('voice/answer.embed');
  });

  it.each([
    ['answer=400ms', /write <stage>\.<metric>\.<percentile>=<time>/],
    ['answer.tfft.p99=400ms', /there is no metric "tfft" \(did you mean "ttft"\?\)/],
    ['answer.ttft.p90=400ms', /the percentile is p95 or p99, not "p90"/],
    ['answer.ttft.constructor=400ms', /the percentile is p95 or p99/],
    ['answer.ttft.p99=soon', /"soon" is no time above 0 such as 400ms/],
    ['answer.ttft.p99=-1s', /is no time above 0/],
    ['answer.ttft.p99=', /is no time above 0/],
    ['answr.ttft.p99=1s', /there is no stage "answr" that a pool serves \(did you mean "answer"\?\)/],
    ['vice:answer.ttft.p99=1s', /there is no pipeline "vice" \(did you mean "voice"\?\)/],
  ])('refuse "%s"', (text, message) => {
    const { code, fields } = refusal(() => stageObjectives(shapes(STAGES), [text]));
    expect(code).toBe('INVALID_INPUT');
    expect(fields).toEqual([expect.stringMatching(message)]);
    expect(fields[0]).toMatch(/^--slo: /);
  });

  it('refuse a stage that two pipelines have, and one figure twice', () => {
    expect(refusal(() => stageObjectives(shapes(STAGES, STAGES), ['answer.ttft.p99=1s'])).fields[0]).toMatch(
      /several pipelines have a stage "answer": write voice:answer/,
    );
    expect(
      refusal(() => stageObjectives(shapes(STAGES), ['answer.ttft.p99=1s', 'answer.ttft.p99=2s'])).fields[0],
    ).toMatch(/a second objective for voice\/answer ttft p99/);
  });

  it('refuse a token’s time of a stage without tokens, and what no idle device reaches', () => {
    expect(refusal(() => plan(spoken(['speak.tpot.p99=20ms'])))).toEqual({
      code: 'INVALID_INPUT',
      fields: [
        '--slo: voice/speak tpot p99: none of its profiles counts tokens (batching "continuous"): use "latency"',
      ],
    });
    const tight = ['answer.ttft.p99=30ms', 'answer.tpot.p95=5ms', 'speak.ttfa.p99=60ms', 'speak.latency.p99=10ms'];
    const { code, fields } = refusal(() => plan(spoken(tight)));
    expect(code).toBe('SLO_UNREACHABLE');
    expect(fields).toEqual([
      expect.stringMatching(
        // The shortest time of a prompt with a median of 40 ms.
        /^--slo: voice\/answer ttft p99: 30 ms is less than the 36 ms that it takes on idle devices/,
      ),
      expect.stringMatching(/voice\/answer tpot p95: 5 ms is less than the 8\.0 ms/),
      expect.stringMatching(/voice\/speak ttfa p99: 60 ms is less than the 63 ms/),
      expect.stringMatching(/voice\/speak latency p99: 10 ms is less than the 27 ms/),
    ]);
  });
});

describe('a plan with objectives of stages', SLOW, () => {
  it('keeps each of them, takes dearer devices for a tighter one, and says which binds', () => {
    const easy = plan(spoken(['answer.ttft.p99=900ms', 'answer.tpot.p99=60ms']));
    const quick = plan(spoken(['answer.ttft.p99=150ms', 'answer.tpot.p99=60ms']));
    const even = plan(spoken(['answer.ttft.p99=900ms', 'answer.tpot.p99=14ms']));
    expect(figure(easy)).toBeLessThanOrEqual(900);
    expect(figure(easy, 1)).toBeLessThanOrEqual(60);
    expect(figure(quick)).toBeLessThanOrEqual(150);
    expect(figure(even, 1)).toBeLessThanOrEqual(14);
    expect(quick.costPerHour).toBeGreaterThan(easy.costPerHour);
    expect(even.costPerHour).toBeGreaterThan(easy.costPerHour);
    expect(easy.bound).toBeLessThanOrEqual(easy.costPerHour + 1e-9);
    expect(readPlacement(JSON.stringify(quick))).toEqual(quick);
    expect(quick.slo).toEqual({
      stages: [
        { stage: 'voice/answer', metric: 'ttft', percentile: 99, ms: 150 },
        { stage: 'voice/answer', metric: 'tpot', percentile: 99, ms: 60 },
      ],
    });
    const { inventory } = spoken([]);
    expect(explanation(quick, inventory, table)).toMatch(
      /^voice\/answer ttft p99 objective {2}[█░]+ \d+ % {2}\d+ of 150 ms$/m,
    );
    expect(placementText(quick, inventory, table)).toMatch(/^ +voice\/answer ttft p99 \d+ ms, at most 150 ms$/m);
    // What is watched later is what was promised.
    expect(objectiveOf(quick).stages).toEqual(
      spoken(['answer.ttft.p99=150ms', 'answer.tpot.p99=60ms']).objective.stages,
    );
  });

  it('counts on speech that begins before the answer has ended', () => {
    const slo = ['speak.ttfa.p99=900ms'];
    const streamed = plan(spoken(slo));
    expect(figure(streamed)).toBeLessThanOrEqual(900);
    // Without the edge the whole answer comes first: 80 tokens of at least 8 ms.
    const whole = (() => {
      try {
        return plan(spoken(slo, {}, false)).costPerHour;
      } catch {
        return Number.POSITIVE_INFINITY;
      }
    })();
    expect(whole).toBeGreaterThan(streamed.costPerHour);
  });

  it('bounds no placement away: of streamed runs none is cheaper than the bound', () => {
    const input = spoken(['speak.ttfa.p99=900ms'], { p99Ms: 1_400, rate: 3 });
    const placement = plan(input);
    const problem = buildProblem(input);
    const lower = new LowerBound(problem);
    let left = 200;
    lower.tighten(() => left-- > 0, Number.POSITIVE_INFINITY);
    expect(lower.value).toBeLessThanOrEqual(placement.costPerHour + 1e-9);
    expect(placement.predicted.p99Ms).toBeLessThanOrEqual(1_400);
    expect(placement.predicted.p99Ms).toBeLessThan(
      plan(spoken(['speak.ttfa.p99=3s'], { p99Ms: 3_000, rate: 3 }, false)).predicted.p99Ms,
    );
  });

  it('names them where it is infeasible, and reads a question about whole runs as such', () => {
    expect(() => plan(spoken(['answer.ttft.p99=200ms'], { rate: 90 }), 20)).toThrow(
      /^infeasible, .* with a voice\/answer ttft p99 of 200 ms\. /,
    );
    const asked = whatIf(spoken(['answer.ttft.p99=200ms']), 'slo 2s').objective;
    expect(asked).toMatchObject({ p99Ms: 2_000, stages: [{ metric: 'ttft' }] });
    expect(horizonMs(asked)).toBe(2_000);
  });

  it('judges by each percentile', () => {
    const at = (share: string) => {
      const problem = buildProblem(spoken([`answer.ttft.${share}=5s`], { rate: 2 }));
      const candidate = {
        configs: problem.pools.map(() => 0),
        replicas: [0, 1].map((pool) => ({ pool, devices: [pool] })),
      };
      return new Judge(problem).see(candidate).targets[0] ?? 0;
    };
    expect(at('p95')).toBeLessThan(at('p99'));
  });
});

describe('the edges of a plan', () => {
  it('that are streams are read as such, with the length of a sentence as an assumption', () => {
    const { stages, assumptions } = shapeOf(voiceAssistant.plan);
    const speak = stages.find(({ id }) => id === 'speak');
    expect(stages[speak?.streamFrom ?? -1]?.id).toBe('answer');
    expect(assumptions.join()).toMatch(
      /speak reads answer in pieces of 20 tokens, sentences \(--assume speak\.pieceTokens=20\)/,
    );
  });

  it('of the short form name one that comes before', () => {
    const wrong = JSON.stringify({ ...VOICE, stages: [STAGES[0], { ...STAGES[1], streamFrom: 'anser' }] }, null, 1);
    expect(refusal(() => readPipelineShape(wrong, 'p.json')).fields).toEqual([
      expect.stringMatching(
        /^p\.json:\d+ stages\[1\]\.streamFrom: "anser" is not one of "after" \(did you mean "answer"\?\)/,
      ),
    ]);
  });
});
