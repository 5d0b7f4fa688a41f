import { describe, expect, it, test } from 'vitest';
import type { RunPage, RunSummary } from '../../../pipelines/run/document.js';
import { importProfiles, importTrace, type ProfileFormat, type TraceFormat } from '../../../placement/import/index.js';
import { entriesOf } from '../../../placement/import/json.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { readTrace } from '../../../placement/trace/index.js';
import { refusal } from './refusal.js';

const AZURE = `TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
`;
const MOONCAKE = `{"timestamp": 1000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 4000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}
`;
const BURST = `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
50,GPT-4,417,276,693,"Conversation, log"
`;
const CSV = `arrived_at_ms,Prompt Tokens,completion_tokens,user
1700000000000,10,5,alice
1700000002500,20,6,bob
`;
const OTLP = JSON.stringify({
  resourceSpans: [
    {
      scopeSpans: [
        {
          spans: [
            { startTimeUnixNano: '1700000000000000000', parentSpanId: '', attributes: [] },
            {
              startTimeUnixNano: '1700000001500000000',
              parentSpanId: 'a',
              attributes: [
                { key: 'gen_ai.usage.input_tokens', value: { intValue: '12' } },
                { key: 'gen_ai.usage.output_tokens', value: { intValue: '3' } },
              ],
            },
          ],
        },
      ],
    },
  ],
});

/** A run as `millrace runs --json` lists it. */
const listed = (createdAt: string): RunSummary => ({
  id: 'ask-1',
  pipeline: 'ask',
  version: '0123456789ab',
  tenant: 'default',
  status: 'succeeded',
  createdAt,
  endedAt: '2026-01-01T00:01:00Z',
  links: { self: '', ui: '' },
});

describe('a foreign trace', () => {
  test.each<[TraceFormat, string, string]>([
    ['azure', AZURE, 'timestamp_s,tokens_in,tokens_out\n0.000000,374,44\n4.314579,396,109\n'],
    ['mooncake', MOONCAKE, 'timestamp_s,tokens_in,tokens_out\n0.000000,6758,500\n3.000000,7322,490\n'],
    ['burstgpt', BURST, 'timestamp_s,tokens_in,tokens_out\n0.000000,472,18\n45.000000,417,276\n'],
    ['csv', CSV, 'timestamp_s,tokens_in,tokens_out\n0.000000,10,5\n2.500000,20,6\n'],
    ['otlp', OTLP, 'timestamp_s,tokens_in,tokens_out\n0.000000,12,3\n'],
    [
      'runs',
      JSON.stringify({ runs: [listed('2026-01-01T00:00:01Z'), listed('2026-01-01T00:00:00Z')] } satisfies RunPage),
      'timestamp_s\n0.000000\n1.000000\n',
    ],
  ])('of %s becomes one of times and sizes', (format, text, expected) => {
    const trace = importTrace(format, text, 'x');
    expect(trace).toBe(expected);
    expect(readTrace(trace).timesMs[0]).toBe(0);
  });

  it.each([
    ['start_ns', ['0', '999000000000', '2000000000000'], '2000.000000'],
    ['arrival_us', ['0', '2000000000000'], '2000000.000000'],
    ['timestampMs', ['1500', '4000'], '2.500000'],
    ['Time (ms)', ['1700000000000', '1700000002500'], '2.500000'],
    ['ts_seconds', ['5', '7.5'], '2.500000'],
    ['time', ['1700000000000', '1700000002500'], '2.500000'],
    ['date', ['1700000000000000000', '1700000002500000000'], '2.500000'],
    ['timestamp', ['100', '350'], '250.000000'],
  ])('has the unit that %s states in all lines, and one by their size only without it', (column, times, last) => {
    const text = `${[column, ...times].join('\n')}\n`;
    const imported = importTrace('csv', text, 'x').trim().split('\n');
    expect(imported.at(-1)).toBe(last);
    expect(imported).toHaveLength(1 + times.length);
  });

  it.each<[TraceFormat, string, string, string]>([
    ['azure', 'TIMESTAMP,ContextTokens,GeneratedTokens\n0,374,0\n1,0,109\n', '0.000000,374,0\n1.000000,0,109\n', ''],
    [
      'csv',
      '# day 1\ntime,tokens_in,output tokens,user\n0,4,5,7\n1,0,,bob\n2,1,\u00a0,9\n3,2,0,8\n',
      '0.000000,4\n1.000000,0\n2.000000,1\n3.000000,2\n',
      'tokens_out dropped: 2 of 4 requests lack it, the first is line 4; user dropped: 1 of 4 requests lack it, the first is line 4',
    ],
    [
      'mooncake',
      '{"timestamp":9,"input_length":1,"output_length":0}\n{"timestamp":5,"input_length":0,"output_length":null}\n',
      '0.000000,0\n0.004000,1\n',
      'tokens_out dropped: 1 of 2 requests lack it, the first is entry 2',
    ],
  ])('of %s keeps sizes of 0, and says which sizes some requests lack', (format, text, rows, notes) => {
    const told: string[] = [];
    const trace = importTrace(format, text, 'x', { note: (each) => told.push(each) });
    expect(trace.slice(trace.indexOf('\n') + 1)).toBe(rows);
    expect(told.join('; ')).toBe(notes);
    // Of the requests that are kept.
    expect(importTrace(format, text, 'x', { limit: 1 }).split('\n')[1]?.split(',').length).toBeGreaterThan(1);
  });

  it('is sped up, thinned out and cut', () => {
    expect(importTrace('azure', AZURE, 'x', { speed: 2 })).toContain('\n2.157290,396,109\n');
    expect(importTrace('azure', AZURE, 'x', { limit: 1 }).trim().split('\n')).toHaveLength(2);
    const many = `timestamp_s\n${Array.from({ length: 1_000 }, (_, i) => i + 0.5).join('\n')}\n`;
    const kept = importTrace('csv', many, 'x', { sample: 0.3 }).trim().split('\n').length - 1;
    expect(kept).toBeGreaterThan(250);
    expect(kept).toBeLessThan(350);
  });

  it('is refused with its line', () => {
    expect(refusal(() => importTrace('azure', 'TIMESTAMP,ContextTokens\n1,2,3\n', 'a.csv')).fields[0]).toMatch(
      /^a\.csv:2/,
    );
    expect(refusal(() => importTrace('mooncake', '{"timestamp": 1}\nnot json', 'm.jsonl')).fields[0]).toMatch(
      /^m\.jsonl:2/,
    );
    expect(refusal(() => importTrace('csv', 'a,b\n1,2\n', 'c.csv')).fields[0]).toMatch(
      /^c\.csv: no column is named like a time: .*; there are a, b$/,
    );
  });

  it.each<[TraceFormat, string, RegExp]>([
    [
      'burstgpt',
      `${BURST}# cut\n\nsoon,GPT-4,1,1,2,x\n`,
      /^x:7: Timestamp: "soon" is neither .*: correct or remove it$/,
    ],
    ['csv', '# a\ntime_us,n\n0,1\n,1\n', /^x:4: it has no time: give time_us/],
    ['csv', 'time_s\n1700000000000\n', /^x:2: time_s: 1700000000000 is after the year 5000: .* as timestamp_us$/],
    ['csv', '# a\ntime\n0,1\n', /^x:3: it has 2 columns, not 1/],
    ['runs', '{"runs":[{"id":"a"}]}', /^x:1, runs\[0\]: it has no time: give createdAt/],
    [
      'otlp',
      '{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}',
      /^x, span 1: it has no time: give startTimeUnixNano/,
    ],
    ['mooncake', '\n{"timestamp":1}\n{"timestamp":true}', /^x:3: it has no time: give timestamp/],
    ['mooncake', 'not json\n{"timestamp":1}', /^x:1: it is not JSON \(.*\): correct it/],
    ['mooncake', '{"timestamp":1}\n7', /^x:2: it is not a JSON object/],
    ['runs', '{"runs": [\n  {"createdAt":\n', /^x:2: it is not JSON/],
    ['runs', '{"runs":[{"createdAt":"2026', /^x:1: it is not JSON/],
    ['otlp', '{\n  "a": []\n  "b": 1 }', /^x:3: it is not JSON/],
  ])('of %s is refused with the line, the value and what to do: %j', (format, text, message) => {
    const { code, fields } = refusal(() => importTrace(format, text, 'x'));
    expect(code).toBe('INVALID_TRACE');
    expect(fields[0]).toMatch(message);
  });

  it.each<[TraceFormat, string]>([
    ['otlp', OTLP],
    ['runs', JSON.stringify({ runs: [listed('2026-01-01T00:00:00Z'), listed('2026-01-01T00:00:01Z')] })],
    ['mooncake', `[${MOONCAKE.trim().replace('\n', ',')}]`],
  ])('of %s is one document, on any number of lines and behind a mark, or lines of it', (format, text) => {
    const expected = importTrace(format, text, 'x');
    const pretty = JSON.stringify(JSON.parse(text), null, 2);
    expect(importTrace(format, `\ufeff${pretty.replaceAll('\n', '\r\n')}\r\n`, 'x')).toBe(expected);
    expect(importTrace(format, `\ufeff${text}\n`, 'x')).toBe(expected);
    const twice = importTrace(format, `${text}\n\n${text}\n`, 'x').split('\n');
    expect(twice).toHaveLength(2 * expected.split('\n').length - 2);
  });

  it('is no document of any size on several lines: it would be in memory as a whole', () => {
    const lines = ['{', '"a": 1,', '"b": 2', '}'];
    expect([...entriesOf(lines, 'x', 'INVALID_TRACE', 14)]).toEqual([{ at: 'x', value: { a: 1, b: 2 } }]);
    expect(refusal(() => [...entriesOf(lines, 'x', 'INVALID_TRACE', 10)]).fields).toEqual([
      'x: it is one document of more than 10 characters: write an object on each line, or split it',
    ]);
  });

  it('is read from lines as from a text', () => {
    expect(importTrace('azure', AZURE.split('\n').values(), 'x')).toBe(importTrace('azure', AZURE, 'x'));
  });
});

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

  it('of MuxServe are a variant for each number of GPUs, with decode by batch and context', () => {
    const costs = (ms: number) => ({ prefill: ms, decoding: ms / 2 });
    const table = {
      '100': { '1': { '32': costs(20), '512': costs(30) }, '4': { '32': costs(24), '512': costs(60) } },
      '50': {},
    };
    const [one, two] = read(
      importProfiles('muxserve', JSON.stringify({ 'llama-7b': { '1': table, '2': table } }), 'm.json', {
        ...none,
        memory: { 'llama-7b': '13GiB' },
        perToken: { 'llama-7b': '512KiB' },
      }),
    );
    expect(one).toMatchObject({ variant: 'tp1', parallel: { tensor: 1 }, memory: { perToken: 512 * 1024 } });
    expect(two).toMatchObject({ variant: 'tp2', parallel: { tensor: 2 } });
    expect(one?.batching === 'continuous' && one.prefill.map(({ tokens }) => tokens)).toEqual([32, 512, 2048]);
    expect(
      one?.batching === 'continuous' && one.decode.map(({ batch, tokens, p50Ms }) => [batch, tokens, p50Ms]),
    ).toEqual([
      [1, 32, 10],
      [1, 512, 15],
      [4, 32, 12],
      [4, 512, 30],
    ]);
  });

  it('of vLLM’s benchmark have prompts and steps at the measured concurrencies', () => {
    const run = (max_concurrency: number, ms: number) => ({
      ...{ model_id: 'llm', max_concurrency, completed: 10, total_input_tokens: 5_000, total_output_tokens: 1_000 },
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
        { batch: 8, tokens: 550, p50Ms: 14, p99Ms: 16 },
      ],
    });
    expect(refusal(() => importProfiles('vllm-bench', text, 'v.jsonl', none)).fields[0]).toMatch(/^--device-kind/);
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
    ['muxserve', '{\n"a": [1,\n', /^x:2: it is not JSON/],
    ['muxserve', 'null', /^x: it is not a table of costs/],
  ])('of %s are refused by their line: %j', (format, text, message) => {
    const { code, fields } = refusal(() => importProfiles(format, text, 'x', { ...none, deviceKind: 'h100' }));
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });

  it('may all be in one file', () => {
    const profiles = importProfiles('csv', 'model,device,batch,p50_ms\nm,a,1,5\nm,b,1,4\n', 'c.csv', none);
    expect(readProfiles([{ file: 'all.json', text: JSON.stringify(profiles) }])).toHaveLength(2);
  });
});
