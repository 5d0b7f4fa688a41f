import { describe, expect, it } from 'vitest';
import { makeLoad, makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { buildProblem } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { traceLoad } from '../../../placement/simulator/index.js';
import { readTrace } from '../../../placement/trace/index.js';
import { readPipelineShape, withAssumptions } from '../../../placement/workload/index.js';
import { llmProfile, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

/* What a person, or a program, may write into the planner's files: each is refused with its line, its unit, and what to do. */

const devices = (row: string, more = '') => `format: 1\nnodes:\n  - name: n\n    devices: [${row}]\n${more}`;
const inventory = (row: string, more?: string) => refusal(() => readInventory(devices(row, more)));
const GPU = '{ kind: gpu, memory: 80GiB }';

const profile = (more: object | string) =>
  refusal(() =>
    readProfiles([
      {
        file: 'm.json',
        text:
          typeof more === 'string'
            ? more
            : JSON.stringify({
                format: 1,
                model: 'm',
                deviceKind: 'gpu',
                batching: 'dynamic',
                latency: [{ batch: 1, p50Ms: 5 }],
                ...more,
              }),
      },
    ]),
  );

describe('an inventory', () => {
  it.each([
    [
      'more memory than any device has',
      '{ kind: gpu, memory: 1e300 }',
      'cluster.yaml:4 nodes[0].devices[0].memory: 1e+300 is more than 1000TiB: give an amount of memory such as "80GiB"',
    ],
    [
      'a price whose sums are infinite',
      '{ kind: gpu, memory: 80GiB, pricePerHour: 1e308 }',
      'cluster.yaml:4 nodes[0].devices[0].pricePerHour: at most 1000000000 per hour',
    ],
    [
      'a price that is no number',
      '{ kind: gpu, memory: 80GiB, pricePerHour: .nan }',
      'cluster.yaml:4 nodes[0].devices[0].pricePerHour: give a price per hour, e.g. 2.40',
    ],
    [
      'more calls at once than a device has',
      '{ kind: gpu, memory: 80GiB, concurrency: 5000 }',
      'cluster.yaml:4 nodes[0].devices[0].concurrency: at most 1024 calls at once',
    ],
    [
      'half a call at once',
      '{ kind: gpu, memory: 80GiB, concurrency: 0.5 }',
      'cluster.yaml:4 nodes[0].devices[0].concurrency: give a whole number of calls',
    ],
  ])('with %s is refused', (_, row, message) => {
    const { code, fields } = inventory(row);
    expect(code).toBe('INVALID_INVENTORY');
    expect(fields[0]?.startsWith(message), fields[0]).toBe(true);
  });

  it('that is empty is refused as such', () => {
    expect(refusal(() => readInventory('# nothing yet\n')).fields[0]).toMatch(/^cluster.yaml: the file is empty/);
  });

  it('of more devices than can be planned is refused before they are made', () => {
    const rows = Array.from(
      { length: 40 },
      () => '{ kind: gpu, memory: 80GiB, count: 1024, share: { mode: mig, parts: 7 } }',
    );
    expect(inventory(rows.join(', ')).fields).toEqual([
      'cluster.yaml:2 nodes: 286720 devices, parts included: at most 10000; plan for a part of them',
    ]);
  });

  it('whose links join each other over and over is read at once', () => {
    const link = (i: number, ...joins: readonly string[]) =>
      `  - { name: l${i}, type: pcie, joins: [${joins.join(', ')}], bandwidth: 25GB/s, latency: 1us }\n`;
    // 2^100 ways from the first link to the device.
    const links = Array.from(
      { length: 100 },
      (_, i) => link(i, `l${i + 1}`, `m${i + 1}`) + link(i, `l${i + 1}`, `m${i + 1}`).replace('l', 'm'),
    );
    const last = link(100, 'n/0') + link(100, 'n/0').replace('l', 'm');
    const { links: read } = readInventory(devices(GPU, `links:\n${links.join('')}${last}`));
    expect(read).toHaveLength(202);
    expect([...(read[0]?.devices ?? [])]).toEqual(['n/0']);
  });

  it('with thousands of unknown names compares those that it shows', () => {
    const names = Array.from({ length: 4_000 }, (_, i) => `gpu${i}/${'x'.repeat(90)}`);
    const more = `links:\n  - { name: l, type: pcie, joins: [${names.join(', ')}], bandwidth: 25GB/s, latency: 1us }\n`;
    const { fields } = inventory(`{ kind: gpu, memory: 80GiB, count: 1000 }`, more);
    expect(fields).toHaveLength(20);
  }, 5_000);
});

describe('a profile', () => {
  it.each([
    [
      'a time that is none',
      { latency: [{ batch: 1, p50Ms: 1e-300 }] },
      'latency[0].p50Ms: the median: give at least 0.000001 ms',
    ],
    [
      'a time of years',
      { latency: [{ batch: 1, p50Ms: 1e12 }] },
      'latency[0].p50Ms: the median: give at most 1000000000 ms',
    ],
    ['an overhead of years', { overheadMs: 1e308 }, 'overheadMs: give at most 1000000000 ms'],
    [
      'a batch in seconds beside a call in milliseconds',
      {
        latency: [
          { batch: 1, p50Ms: 50 },
          { batch: 8, p50Ms: 0.4 },
        ],
      },
      'latency[1].p50Ms: batch 8 takes 0.4 ms, and batch 1 50 ms: give both in milliseconds, or measure them again',
    ],
    [
      'a long input in seconds beside a short one in milliseconds',
      {
        size: { variable: 'audio_s', typical: 5 },
        latency: [
          { batch: 1, size: 20, p50Ms: 0.4 },
          { batch: 1, size: 2, p50Ms: 50 },
        ],
      },
      'latency[0].p50Ms: size 20 takes 0.4 ms, and size 2 50 ms: give both in milliseconds, or measure them again',
    ],
    [
      'a mean that no times with this median have',
      { latency: [{ batch: 1, p50Ms: 50, meanMs: 0.05 }] },
      'latency[0].meanMs: 0.05 ms is less than half of the median, 50 ms: correct it',
    ],
    ['half a device', { parallel: { tensor: 1.5 } }, 'parallel.tensor: give a whole number of devices'],
    ['an overhead in words', { overheadMs: '2ms' }, 'overheadMs: give a time in milliseconds'],
  ])('with %s is refused', (_, more, message) => {
    const { code, fields } = profile(more);
    expect(code).toBe('INVALID_PROFILE');
    expect(fields).toEqual([`m.json:1 ${message}`]);
  });

  it('that is empty is refused as such, and a list of none as a missing profile', () => {
    expect(profile('\n').fields).toEqual([expect.stringMatching(/^m.json: the file is empty/)]);
    expect(refusal(() => buildProblem(plannerInput({ profiles: [{ file: 'm.json', text: '[]' }] }))).code).toBe(
      'PROFILE_MISSING',
    );
  });

  it('whose times fall by the noise of a busy machine is read', () => {
    const latency = [
      { batch: 1, p50Ms: 1.2 },
      { batch: 8, p50Ms: 2.348 },
      { batch: 32, p50Ms: 0.4 },
    ];
    const text = JSON.stringify({ format: 1, model: 'm', deviceKind: 'gpu', batching: 'dynamic', latency });
    expect(readProfiles([{ file: 'm.json', text }])).toHaveLength(1);
  });

  it('of more rows than any measurement has is refused at once', () => {
    const latency = Array.from({ length: 5_000 }, (_, i) => ({ batch: 1, size: i + 1, p50Ms: 5 }));
    expect(profile({ latency, size: { variable: 'audio_s', typical: 1 } }).fields).toEqual([
      'm.json:1 latency: at most 4096 rows',
    ]);
  }, 20_000);
});

describe('a trace', () => {
  it.each([
    ['timestamp_us\n0\n1e300\n', 'trace.csv:3: 1e+300 is after the year 5000'],
    ['timestamp_ms,tokens_in\n0,5\n1,1e300\n', 'trace.csv:3: a size is above 1000000000000'],
    ['0\n1e300\n', 'trace.csv:1: the times look like milliseconds'],
  ])('of times and sizes that cannot be is refused: %j', (text, message) => {
    const { code, fields } = refusal(() => readTrace(text));
    expect(code).toBe('INVALID_TRACE');
    expect(fields[0]?.startsWith(message), fields[0]).toBe(true);
  });

  it('with calls of no tokens is planned, with a warning', () => {
    const pipelines = [JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'a', model: 'assistant' }] })];
    const input = plannerInput({ pipelines, profiles: [llmProfile('assistant', 'a100', 40, 8)], p99Ms: 4_000 });
    const lines = Array.from({ length: 200 }, (_, i) => `${i},${i % 4 === 0 ? 0 : 200},${i % 2 === 0 ? 0 : 20}`);
    const load = traceLoad(readTrace(`timestamp_s,tokens_in,tokens_out\n${lines.join('\n')}\n`));
    let ticks = 0;
    const { warnings } = makePlacement(
      { ...input, load },
      { objective: 'cost', timeLimitMs: 200, clock: () => ticks++ },
    );
    expect(warnings).toEqual([
      'assistant: 50 of the runs have less than one token in tokens_in, which counts as one: were they answered?',
      'assistant: 100 of the runs have less than one token in tokens_out, which counts as one: were they answered?',
    ]);
  });
});

describe('a load', () => {
  it.each([0, -1, 1e-200, 1e9, Number.NaN])(
    'with a variation of %s is refused: its times would be no numbers',
    (cv) => {
      const { code, fields } = refusal(() => makeLoad([{ rate: 1, cv }], 400, 1));
      expect(code).toBe('INVALID_INPUT');
      expect(fields[0]).toMatch(/^--cv: .* give a coefficient of variation from 0.01 to 30/);
    },
  );
});

describe('a pipeline', () => {
  const read = (stage: object) =>
    refusal(() =>
      readPipelineShape(
        JSON.stringify({ format: 1, name: 'p', stages: [{ id: 'a', model: 'm', ...stage }] }),
        'p.json',
      ),
    );

  it.each([
    [{ backoffMs: 1e308 }, 'p.json:1 stages[0].backoffMs: at most 86400000 ms, a day'],
    [{ overheadMs: '5ms' }, 'p.json:1 stages[0].overheadMs: give a time in milliseconds'],
    [{ outputBytes: 1e308 }, 'p.json:1 stages[0].outputBytes: at most 1000000000000 bytes'],
    [{ share: 'half' }, 'p.json:1 stages[0].share: give a share'],
  ])('with %j is refused', (stage, message) => {
    expect(read(stage)).toEqual({ code: 'INVALID_PIPELINE', fields: [message] });
  });

  it('refuses the same figures as assumptions', () => {
    const { pipelines } = plannerInput();
    expect(refusal(() => withAssumptions(pipelines, ['hear.backoffMs=1e300'])).fields[0]).toMatch(
      /at most 86400000 ms/,
    );
  });

  it('of thousands of stages is refused at once', () => {
    const stages = Array.from({ length: 2_000 }, (_, i) => ({
      id: `s${i}`,
      model: 'm',
      after: i > 0 ? [`s${i - 1}`] : [],
    }));
    const text = JSON.stringify({ format: 1, name: 'p', stages: stages.reverse() });
    expect(refusal(() => readPipelineShape(text, 'p.json')).fields).toEqual(['p.json:1 stages: at most 1000 stages']);
  }, 20_000);
});
