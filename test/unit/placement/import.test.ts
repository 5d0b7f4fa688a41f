import { describe, expect, it, test } from 'vitest';
import type { RunPage, RunSummary } from '../../../pipelines/run/document.js';
import { importTrace, type TraceFormat } from '../../../placement/import/index.js';
import { entriesOf } from '../../../placement/import/json.js';
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
    ['time_millisecs', ['0', '2500'], '2.500000'],
    ['time_milliSeconds', ['0', '2500'], '2.500000'],
    ['time_in_milli_seconds', ['0', '2500'], '2.500000'],
    ['ts_microsec', ['0', '2500000'], '2.500000'],
    ['Time (µs)', ['0', '2500000'], '2.500000'],
    ['arrival_nanosecs', ['0', '2500000000'], '2.500000'],
    ['time', ['1700000000000', '1700000002500'], '2.500000'],
    ['date', ['1700000000000000000', '1700000002500000000'], '2.500000'],
    ['timestamp', ['100', '350'], '250.000000'],
    ['arrival_minutes', ['0', '2.5'], '150.000000'],
    ['time (min)', ['0', '2'], '120.000000'],
    ['time_hours', ['1', '1.5'], '1800.000000'],
    ['startHours', ['0', '100'], '360000.000000'],
    ['arrived_days', ['0', '2'], '172800.000000'],
    ['time_ms_of_hour', ['0', '2500'], '2.500000'],
    ['time_seconds_of_hour', ['0', '25'], '25.000000'],
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

  it('of whole numbers far apart needs a unit, as they are rather milliseconds', () => {
    const times = (count: number, spell: (i: number) => string) =>
      `${['time', ...Array.from({ length: count }, (_, i) => spell(i))].join('\n')}\n`;
    const last = (text: string) => importTrace('csv', text, 'x').trim().split('\n').at(-1);
    const apart = times(20, (i) => String(250 * (19 - i)));
    expect(refusal(() => last(apart))).toEqual({
      code: 'INVALID_TRACE',
      fields: [
        'x: time: the times look like milliseconds: as seconds they are 250 s apart on average. Name the column timestamp_ms or timestamp_s',
      ],
    });
    expect(last(apart.replace('time', 'timestamp_ms'))).toBe('4.750000');
    expect(last(apart.replace('time', 'timestamp_s'))).toBe('4750.000000');
    expect(last(times(20, (i) => (250 * i).toFixed(1)))).toBe('4750.000000');
    expect(last(times(19, (i) => String(250 * i)))).toBe('4500.000000');
    expect(last(times(20, (i) => String(20 * i)))).toBe('380.000000');
    // Their unit is known.
    expect(last(times(20, (i) => String(1.7e12 + 60_000 * i)))).toBe('1140.000000');
    expect(last(times(20, (i) => `2026-01-01 00:${String(i + 10)}:00`))).toBe('1140.000000');
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
    // Columns of text may have any names, and two columns may say the same.
    expect(importTrace('csv', 'time,用户,模型,n\n0,a,b,1\n', 'c.csv')).toBe('timestamp_s,n\n0.000000,1\n');
    expect(importTrace('csv', 'time,prompt_tokens,input_tokens,constructor\n0,9,9.0,1\n', 'c.csv')).toBe(
      'timestamp_s,tokens_in,constructor\n0.000000,9,1\n',
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
    [
      'csv',
      'timestamp,prompt_tokens,completion_tokens,context_length\n0.5,,7,131072\n1.5,900,80,131072\n',
      /^x:3: prompt_tokens and context_length would both be tokens_in: remove or rename one of the columns$/,
    ],
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

  interface Told {
    readonly id?: string | undefined;
    readonly parent?: string | undefined;
    readonly tokens?: number | undefined;
    readonly operation?: string | undefined;
  }
  const exported = (...all: readonly Told[]) => {
    const spans = all.map(({ id, parent = '', tokens, operation }, i) => ({
      ...{ traceId: 't', spanId: id, parentSpanId: parent, startTimeUnixNano: String(1_700_000_000e9 + i * 1e9) },
      attributes: [
        ...(tokens === undefined ? [] : [{ key: 'gen_ai.usage.input_tokens', value: { intValue: String(tokens) } }]),
        ...(operation === undefined ? [] : [{ key: 'gen_ai.operation.name', value: { stringValue: operation } }]),
      ],
    }));
    return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  };
  const tokensOf = (text: string) =>
    importTrace('otlp', text, 'x')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.split(',')[1]));

  it.each(['invoke_agent', 'invoke_workflow', 'execute_tool'])('of OTLP counts no usage of %s', (operation) => {
    const calls = [
      { id: 'b', parent: 'a', tokens: 10, operation: 'chat' },
      { id: 'c', parent: 'a', tokens: 20 },
    ];
    expect(tokensOf(exported({ id: 'a', tokens: 30, operation }, ...calls))).toEqual([10, 20]);
    expect(importTrace('otlp', exported({ id: 'a', tokens: 30, operation }), 'x')).toBe('timestamp_s\n0.000000\n');
  });

  it('of OTLP counts a call once, by the innermost span that states its usage, in any line', () => {
    const [agent, step] = [
      { id: 'a', tokens: 30 },
      { id: 's', parent: 'a' },
    ];
    const calls = [
      { id: 'b', parent: 's', tokens: 10 },
      { id: 'c', parent: 'a', tokens: 20 },
    ];
    expect(tokensOf(exported(agent, step, ...calls))).toEqual([10, 20]);
    expect(tokensOf([exported(...calls), exported(step), exported(agent)].join('\n'))).toEqual([10, 20]);
    expect(tokensOf(exported(...calls.map(({ tokens }) => ({ tokens }))))).toEqual([10, 20]);
    // Spans that name each other as their parents.
    const circle = [
      { id: 'a', parent: 'b' },
      { id: 'b', parent: 'a' },
    ];
    expect(tokensOf(exported(...circle, { parent: 'b', tokens: 7 }))).toEqual([7]);
  });

  it('is read from lines as from a text', () => {
    expect(importTrace('azure', AZURE.split('\n').values(), 'x')).toBe(importTrace('azure', AZURE, 'x'));
  });
});
