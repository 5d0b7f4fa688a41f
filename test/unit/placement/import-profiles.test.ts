import { describe, expect, it } from 'vitest';
import { importProfiles, type ProfileFormat } from '../../../placement/import/index.js';
import { buildProblem } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { PROFILES, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

const none = { kinds: {}, memory: {}, perToken: {} };
const read = (profiles: readonly unknown[]) =>
  readProfiles(profiles.map((profile, i) => ({ file: `${i}.json`, text: JSON.stringify(profile) }))).map(
    ({ value }) => value,
  );

describe('foreign measurements', () => {
  it('of Proteus are one profile for each model and accelerator; the first of a key counts', () => {
    const text = `Model,Accel,Trials,batchsize,50th_pct,90th_pct,avg_latency(ms),Min,Max
r,gpu,9,1,10,12,11,9,20
r,gpu,9,2,14,13,15,9,20
r,gpu,9,2,99,99,99,9,20
r,cpu,9,2,30,33,31,9,90
`;
    const profiles = read(importProfiles('proteus', text, 'p.csv', { ...none, kinds: { gpu: 'l4' } }));
    expect(profiles).toMatchObject([
      {
        model: 'r',
        deviceKind: 'l4',
        latency: [
          { batch: 1, p50Ms: 10, p95Ms: 12, meanMs: 11 },
          { batch: 2, p50Ms: 14, p95Ms: 14 },
        ],
      },
    ]);
  });

  it('that are no profile are refused when they are imported, and not when they are planned with', () => {
    const table = {
      '1': { '100': { '1': { '32': { prefill: 20, decoding: -1 } }, '4': { '32': { prefill: 24, decoding: 12 } } } },
    };
    expect(refusal(() => importProfiles('muxserve', JSON.stringify({ llm: table }), 'm.json', none))).toEqual({
      code: 'INVALID_PROFILE',
      fields: ['m.json, llm tp1 on a100 decode: a row for batch 1 is missing: measure one sequence alone'],
    });
    const csv = 'model,device,batch,p50_ms,mean_ms\nm,a,1,5,1\n';
    expect(refusal(() => importProfiles('csv', csv, 'm.csv', none)).fields).toEqual([
      'm.csv, m default on a latency[0].meanMs: 1 ms is less than half of the median, 5 ms: correct it',
    ]);
    const twice = 'model,device,batch,p50_ms\nm,a,1,5\nm,b,1,9\n';
    const kinds = { a: 'l4', b: 'l4' };
    expect(refusal(() => importProfiles('csv', twice, 'm.csv', { ...none, kinds })).fields).toEqual([
      expect.stringMatching(/^m\.csv, m default on l4 variant: .* describes the same/),
    ]);
  });

  it('of vLLM’s benchmark have prompts and steps at the measured concurrencies', () => {
    const run = (max_concurrency: number, ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 200, total_input_tokens: 100_000, total_output_tokens: 20_000 },
      ...{
        median_ttft_ms: 40,
        p99_ttft_ms: 60,
        mean_ttft_ms: 41,
        median_tpot_ms: ms,
        mean_tpot_ms: ms,
        p99_tpot_ms: ms + 2,
      },
    });
    const text = `${JSON.stringify(run(1, 10))}\n${JSON.stringify(run(8, 14))}\n`;
    const [profile] = read(importProfiles('vllm-bench', text, 'v.jsonl', { ...none, deviceKind: 'h100' }));
    expect(profile).toMatchObject({
      model: 'llm',
      deviceKind: 'h100',
      prefill: [{ tokens: 500, p50Ms: 40, p99Ms: 60 }],
      decode: [
        { batch: 1, tokens: 550, p50Ms: 10, p99Ms: 12 },
        // Without 7 prompts of 41 ms among 99 steps; half as many beside the last 8 of 200 requests.
        { batch: 8, tokens: 550, p50Ms: expect.closeTo(14 - (0.98 * 7 * 41) / 99, 1), p99Ms: expect.closeTo(12.8, 1) },
      ],
    });
    expect(refusal(() => importProfiles('vllm-bench', text, 'v.jsonl', none)).fields[0]).toMatch(/^--device-kind/);
    const at = (request_rate: unknown) =>
      importProfiles('vllm-bench', JSON.stringify({ ...run(64, 10), request_rate }), 'v.json', {
        ...none,
        deviceKind: 'h100',
      });
    expect(at('inf')).toMatchObject([{ decode: [{ batch: 1 }, { batch: 64 }] }]);
    // Two or three sequences at once, of the 64 that were allowed.
    expect(refusal(() => at(1))).toEqual({
      code: 'INVALID_PROFILE',
      fields: [
        'v.json:1: it was run at a request rate, 1, and not at a concurrency: run it with --max-concurrency, and with no --request-rate',
      ],
    });
  });

  it('of LLMs have the prompts of each length with the fewest at once, and say which were not alone', () => {
    const run = (max_concurrency: number, tokens: number, ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 200, median_ttft_ms: ms, median_tpot_ms: 10 },
      ...{ total_input_tokens: 200 * tokens, total_output_tokens: 20_000 },
    });
    const imported = (...runs: readonly object[]) =>
      read(importProfiles('vllm-bench', JSON.stringify(runs), 'v.json', { ...none, deviceKind: 'h100' }))[0];
    // The last one has the length of the first, but for what its requests differ by.
    const both = imported(run(1, 1_000, 50), run(8, 1_000, 300), run(4, 8_000, 900), run(32, 1_010, 2_000));
    expect(both).toMatchObject({
      prefill: [
        { tokens: 1_000, p50Ms: 50 },
        { tokens: 8_000, p50Ms: 900 },
      ],
      note: expect.stringMatching(/^its prompts of 8000 tokens were measured with up to 4 at once, .*concurrency of 1/),
    });
    expect(both?.batching === 'continuous' && both.prefill).toHaveLength(2);
    expect(imported(run(32, 500, 900), run(32, 2_000, 990))?.note).toMatch(/prompts of 500 to 2000 .* up to 32 /);
    expect(imported(run(1, 500, 40), run(8, 500, 90))?.note).toBeUndefined();
    // Beside 63 others a short one took longer than a long one alone.
    const short = imported(run(64, 500, 200), run(1, 2_000, 90));
    expect(short).toMatchObject({ prefill: [{ tokens: 2_000, p50Ms: 90 }] });
    expect(short?.note).toBeUndefined();
  });

  it('of LLMs count as many sequences as ran at once, by the throughput', () => {
    const vllm = (more: object) =>
      importProfiles(
        'vllm-bench',
        JSON.stringify({
          ...{ model_id: 'llm', max_concurrency: 512, completed: 200, mean_ttft_ms: 2_000, mean_tpot_ms: 25 },
          ...{ total_input_tokens: 100_000, total_output_tokens: 200_000, ...more },
        }),
        'v.json',
        { ...none, deviceKind: 'h100' },
      );
    // 6 requests a second of 1,000 tokens, each of which is generated for 25 s; and no more than one prompt at a time.
    expect(vllm({ output_throughput: 6_000 })).toMatchObject([
      {
        decode: [{ batch: 1 }, { batch: 151, p50Ms: 25 }],
        note: expect.stringMatching(/; fewer requests ran at once than were allowed, .*: 151 of 512$/),
      },
    ]);
    // A server that runs 256 has the others wait for 2 s more than for their prompts, also if no throughput is stated.
    const limited = { completed: 5_120, total_output_tokens: 512_000, mean_tpot_ms: 20 };
    expect(vllm(limited)).toMatchObject([{ decode: [{ batch: 1 }, { batch: 256 }] }]);
    expect(vllm({ ...limited, mean_ttft_ms: 100 })).toMatchObject([{ decode: [{ batch: 1 }, { batch: 512 }] }]);
    expect(refusal(() => vllm({}))).toEqual({
      code: 'INVALID_PROFILE',
      fields: [
        expect.stringMatching(
          /^v\.json:1: it has no output_throughput, and only 200 requests: .* with --num-prompts 5120$/,
        ),
      ],
    });
    const metric = (avg: number) => ({ avg, p50: avg });
    const perf = (more: object) =>
      importProfiles(
        'genai-perf',
        JSON.stringify({
          input_config: { model_names: ['llm'], perf_analyzer: { stimulus: { concurrency: 64 } } },
          ...{ time_to_first_token: metric(50), inter_token_latency: metric(10), request_count: metric(100) },
          ...{ input_sequence_length: metric(300), output_sequence_length: metric(101), ...more },
        }),
        'g.json',
        { ...none, deviceKind: 'l4' },
      );
    expect(perf({ output_token_throughput: metric(3_030) })).toMatchObject([{ decode: [{ batch: 1 }, { batch: 31 }] }]);
    expect(refusal(() => perf({})).fields[0]).toMatch(
      /^g\.json:1: it has no output_token_throughput, and only 100 .*640$/,
    );
  });

  it('of GenAI-Perf and of a table are read too', () => {
    const metric = (p50: number) => ({ avg: p50, p50, p95: p50 + 1, p99: p50 + 2 });
    const run = {
      input_config: { model_names: ['llm'], perf_analyzer: { stimulus: { concurrency: 4 } } },
      ...{ time_to_first_token: metric(50), inter_token_latency: metric(9) },
      ...{ input_sequence_length: { avg: 300 }, output_sequence_length: { avg: 100 } },
    };
    const [llm] = read(importProfiles('genai-perf', JSON.stringify(run), 'g.json', { ...none, deviceKind: 'l4' }));
    expect(llm).toMatchObject({ model: 'llm', decode: [{ batch: 1 }, { batch: 4, p50Ms: 9, p99Ms: 11 }] });
    const aiperf = {
      ...run,
      input_config: { endpoint: { model_names: ['org/llm'] }, loadgen: { concurrency: 16, request_rate: null } },
    };
    const both = JSON.stringify([{ ...run, input_config: { ...run.input_config, model_names: ['org/llm'] } }, aiperf]);
    const [other] = read(importProfiles('genai-perf', both, 'a.json', { ...none, deviceKind: 'l4' }));
    expect(other).toMatchObject({ model: 'org/llm', decode: [{ batch: 1 }, { batch: 4 }, { batch: 16 }] });
    const [small] = read(
      importProfiles('csv', 'model,device,batch,p50_ms,p99_ms\nm,l4,1,5,6\nm,l4,4,9,8\n', 'c.csv', none),
    );
    expect(small).toMatchObject({ model: 'm', latency: [{ p99Ms: 6 }, { batch: 4, p99Ms: 9 }] });
  });

  it.each([
    [{ perf_analyzer: { stimulus: { request_rate: 10 } } }, /^g\.json:1: it was run at a request rate, 10, .*--conc/],
    [{ loadgen: { concurrency: 100, request_rate: 2.5 } }, /it was run at a request rate, 2\.5/],
    [{ loadgen: { concurrency: null } }, /^g\.json:1: it has no concurrency \(input_config\.perf_analyzer.*loadgen/],
    [{ loadgen: { concurrency: [1, 8] } }, /it has the concurrency \[1,8\]/],
    [{ concurrency: 0 }, /it has the concurrency 0/],
    [{}, /it has no concurrency/],
    [{ model_names: [], concurrency: 4 }, /^g\.json:1: it names no model .*: pass --model/],
  ])('of GenAI-Perf and AIPerf are refused without a concurrency, or a model: %j', (config, message) => {
    const metric = { avg: 5, p50: 5 };
    const text = JSON.stringify({
      input_config: { model_names: ['llm'], ...config },
      ...{ time_to_first_token: metric, inter_token_latency: metric },
      ...{ input_sequence_length: metric, output_sequence_length: metric },
    });
    const { code, fields } = refusal(() => importProfiles('genai-perf', text, 'g.json', { ...none, deviceKind: 'l4' }));
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });

  it.each<[ProfileFormat, string, RegExp]>([
    ['csv', '# a\nmodel,device,batch,p50_ms\nm,a,1,5\nm,a,2,no\n', /^x:4: p50_ms: "no" is not a number above 0/],
    ['csv', 'model,device,batch,p50_ms\nm,a,1\n', /^x:2: it has 3 columns, not 4/],
    ['proteus', 'Model,Accel\nm,a\n', /^x:2: there is no column batchsize: add it/],
    ['vllm-bench', '{"median_tpot_ms": 4', /^x:1: it is not JSON/],
  ])('of %s are refused by their line: %j', (format, text, message) => {
    const { code, fields } = refusal(() => importProfiles(format, text, 'x', { ...none, deviceKind: 'h100' }));
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });

  const ANALYZED = `Model,Batch,Concurrency,Model Config Path,Instance Group,Satisfies Constraints,Throughput (infer/sec),p99 Latency (ms)
resnet,1,16,resnet_config_0,1:GPU,Yes,900,30
resnet,8,2,resnet_config_0,1:GPU,Yes,1200,24
resnet,1,1,resnet_config_default,1:GPU,Yes,164,8.1
resnet,8,1,resnet_config_0,1:GPU,Yes,1000,12
`;
  const analyzed = (text: string, more: { deviceKind?: string; model?: string } = { deviceKind: 'l4' }) =>
    importProfiles('model-analyzer', text, 'm.csv', { ...none, ...more });

  it('of Model Analyzer are those with the least concurrency, with what there is in place of a median', () => {
    const [profile] = read(analyzed(ANALYZED));
    expect(profile).toMatchObject({
      model: 'resnet',
      deviceKind: 'l4',
      note: expect.stringMatching(/no median, for which their 99th percentile stands/),
      latency: [
        { batch: 1, p50Ms: 8.1, p99Ms: 8.1 },
        { batch: 8, p50Ms: 12, p99Ms: 12 },
      ],
    });
    const text = 'Model,Concurrency,Max Batch Size,p99 Latency,Avg Latency\nm,8,4,30,20\nm,4,4,11,9\nm,1,4,6,5\n';
    const [filled] = analyzed(text);
    expect(filled).toMatchObject({
      latency: [
        { batch: 1, p50Ms: 5, p99Ms: 6 },
        { batch: 4, p50Ms: 9, meanMs: 9 },
      ],
    });
    expect(filled).not.toHaveProperty('note');
    // Calls that are batches already: the largest batch holds two of 3, and one of 8.
    const own = 'Model,Batch,Concurrency,Max Batch Size,p50 latency\nm,1,1,8,5\nm,3,8,8,30\nm,8,8,8,40\n';
    expect(analyzed(own)[0]).toMatchObject({
      latency: [
        { batch: 1, p50Ms: 5 },
        { batch: 6, p50Ms: 30 },
        { batch: 8, p50Ms: 40 },
      ],
    });
  });

  it('of Model Analyzer are those of one instance, of which a batch has all calls', () => {
    const head = 'Model,Concurrency,Max Batch Size,Instance Group,p99 Latency';
    const several = ['m,8,8,4:GPU,9', 'm,2,8,2/GPU,3', 'm,4,8,"1:GPU + 1:CPU",7'];
    const [profile] = analyzed([head, ...several, 'm,8,8,1:GPU,30', 'm,1,8,1/GPU,6', ''].join('\n'));
    expect(profile).toMatchObject({
      latency: [
        { batch: 1, p50Ms: 6 },
        { batch: 8, p50Ms: 30 },
      ],
    });
    expect(refusal(() => analyzed([head, ...several, ''].join('\n'))).fields[0]).toMatch(
      /^m\.csv: all of its runs have several instances of the model/,
    );
  });

  it('of Model Analyzer are refused without a device, a model or a time', () => {
    const fields = (...args: Parameters<typeof analyzed>) => refusal(() => analyzed(...args)).fields[0];
    expect(fields(ANALYZED, {})).toBe('--device-kind: the source names no device: give its kind');
    expect(fields(ANALYZED.replaceAll('resnet,', ','))).toBe('m.csv:4: it names no model: pass --model');
    const without = fields(ANALYZED.replace('p99 Latency (ms)', 'RAM (MB)'));
    expect(without).toMatch(/^m\.csv: no column has a latency: .*perf_latency_avg/);
    expect(fields(ANALYZED.replace('8.1', ''))).toMatch(/^m\.csv:4: p99 Latency \(ms\): "" is not a number above 0/);
    const csv = 'model,device,batch,p50_ms\nm,,1,5\n';
    expect(refusal(() => importProfiles('csv', csv, 'c.csv', none)).fields[0]).toMatch(/^--device-kind: /);
  });

  it('say in a plan what it has to say of them', () => {
    const profiles = PROFILES.map(({ file, text }) => ({
      file,
      text: file.startsWith('tts') ? JSON.stringify({ ...JSON.parse(text), note: 'measured in a hurry' }) : text,
    }));
    expect(buildProblem(plannerInput({ profiles })).assumptions.filter((each) => each.includes('hurry'))).toEqual([
      'tts: measured in a hurry',
    ]);
  });

  it('of an LLM get the name of the pool, by which their memory is given', () => {
    const run = {
      ...{ model_id: 'meta-llama/Llama-3.1-8B-Instruct', max_concurrency: 1, completed: 10 },
      ...{ total_input_tokens: 5_000, total_output_tokens: 1_000, median_ttft_ms: 40, median_tpot_ms: 10 },
    };
    const given = { kinds: {}, memory: { assistant: '16GiB' }, perToken: { assistant: '128KiB' }, deviceKind: 'h100' };
    const text = JSON.stringify(run);
    const imported = (more: object) => importProfiles('vllm-bench', text, 'v.json', { ...given, ...more });
    const [profile] = read(imported({ model: 'assistant' }));
    expect(profile).toMatchObject({ model: 'assistant', memory: { weights: 16 * 2 ** 30, perToken: 128 * 2 ** 10 } });
    expect(refusal(() => imported({}))).toEqual({
      code: 'INVALID_INPUT',
      fields: [
        '--memory: the source has no model "assistant" (there are meta-llama/Llama-3.1-8B-Instruct); --model assistant gives its model that name',
        '--per-token: the source has no model "assistant" (there are meta-llama/Llama-3.1-8B-Instruct); --model assistant gives its model that name',
      ],
    });
    expect(refusal(() => imported({ model: 'assistant', memory: {}, kinds: { h100: 'x' } })).fields).toEqual([
      '--kind: h100: the source names no device: give its kind by --device-kind',
      '--per-token: assistant: pass --memory assistant=<amount> too',
    ]);
    const two = JSON.stringify([run, { ...run, model_id: 'other' }]);
    const both = () => importProfiles('vllm-bench', two, 'v.json', { ...given, model: 'assistant' });
    expect(refusal(both).fields).toEqual([
      '--model: the source has several models, meta-llama/Llama-3.1-8B-Instruct, other: import each alone',
    ]);
  });

  it('are refused with options that match nothing in a table', () => {
    const text = 'model,device,batch,p50_ms\nwhisper,gpu-a,1,5\nwhisper,gpu-b,1,6\n';
    const imported = (more: object) => importProfiles('csv', text, 'c.csv', { ...none, ...more });
    expect(imported({ kinds: { 'gpu-a': 'l4' }, memory: { whisper: '1GiB' } })).toHaveLength(2);
    const more = { kinds: { 'gpu-c': 'l4', tpu: 'x' }, memory: { whispr: '1GiB' }, perToken: { whisper: '1KiB' } };
    expect(refusal(() => imported(more))).toEqual({
      code: 'INVALID_INPUT',
      fields: [
        '--kind: the source has no device "gpu-c" (did you mean "gpu-a"?)',
        '--kind: the source has no device "tpu" (there are gpu-a, gpu-b)',
        '--memory: the source has no model "whispr" (did you mean "whisper"?)',
        '--per-token: whisper: the source has no LLMs: leave it out',
      ],
    });
  });

  it('may all be in one file', () => {
    const profiles = importProfiles('csv', 'model,device,batch,p50_ms\nm,a,1,5\nm,b,1,4\n', 'c.csv', none);
    expect(readProfiles([{ file: 'all.json', text: JSON.stringify(profiles) }])).toHaveLength(2);
  });
});
