import { describe, expect, test } from 'vitest';
import type { Agent } from '../../../../gateway/a2a/agents.js';
import { TaskUpdates } from '../../../../gateway/a2a/updates.js';
import { RunEvents } from '../../../../gateway/agui/run-events.js';
import type { Answer } from '../../../../gateway/openai/chat-reply.js';
import { RunTeller } from '../../../../gateway/openai/told.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { textIn } from '../../../support/a2a-client.js';

test('a reply to a prompt that a guardrail has changed since is void, also if it was whole', () => {
  const model = {
    textStages: new Set(['answer']),
    agents: new Set(['answer']),
    callers: new Map(),
    face: { output: 'text' },
  };
  const teller = new RunTeller(model as never, 'r');
  const turn = (path: string, text: string): RunEvent[] => {
    const of = { stage: 'answer', path, attempt: 1 };
    return [
      { type: 'stage.started', ...of, kind: 'chat', model: 'm' },
      { type: 'stage.delta', ...of, text },
      { type: 'stage.finished', ...of, cache: 'off', runMs: 1 },
    ];
  };
  const events = [...turn('answer/turn-1', 'Your card is 1.'), ...turn('answer/turn-1-checked', 'Which card?')];
  const told = [
    ...events.flatMap((event) => [...teller.of(event)]),
    ...teller.end({ output: { text: 'Which card?' } }),
  ];
  expect(told).toEqual([{ text: 'Your card is 1.' }, { ended: 'void' }, { text: 'Which card?' }]);
});

test('the reasoning of an attempt that begins again is told once, and in place of the former where it differs', () => {
  const model = { textStages: new Set(['answer']), agents: new Set(), callers: new Map(), face: { output: 'text' } };
  const attempt = (n: number, ...thoughts: string[]): RunEvent[] => {
    const of = { stage: 'answer', path: 'answer', attempt: n };
    return [
      { type: 'stage.started', ...of, kind: 'chat', model: 'm' },
      ...thoughts.map((text): RunEvent => ({ type: 'stage.reasoning', ...of, text })),
    ];
  };
  const toldOf = (events: readonly RunEvent[]) => {
    const teller = new RunTeller(model as never, 'r');
    return events.flatMap((event) => [...teller.of(event)]);
  };
  expect(toldOf([...attempt(1, 'Two ', 'and'), ...attempt(2, 'Two', ' and two.')])).toEqual([
    { reasoning: 'Two ' },
    { reasoning: 'and' },
    { reasoning: ' two.' },
  ]);
  expect(toldOf([...attempt(1, 'Two ', 'and'), ...attempt(2, 'Two', ' or', ' one.')])).toEqual([
    { reasoning: 'Two ' },
    { reasoning: 'and' },
    { reasoning: 'Two or', instead: true },
    { reasoning: ' one.' },
  ]);
});

test('another call of the same number is told with its own arguments and result: an agent’s next candidate makes it instead', () => {
  const model = {
    textStages: new Set(['answer']),
    agents: new Set(['answer']),
    callers: new Map([['answer', 0]]),
    face: { output: 'text' },
  };
  const teller = new RunTeller(model as never, 'r');
  const call = (path: string, tool: string, order: string): [RunEvent, RunEvent] => {
    const of = { stage: 'answer', path, attempt: 1, tool, number: 0 };
    return [
      { type: 'tool.called', ...of, arguments: { order } },
      { type: 'tool.ended', ...of, end: 'done', result: `${tool} ${order}` },
    ];
  };
  const [abandoned, late] = call('answer/turn-1/refund:1', 'refund', '1');
  const [called, ended] = call('answer~1/turn-1/look:2', 'look', '2');
  const told = [abandoned, abandoned, called, late, ended, ended].flatMap((event) => [...teller.of(event)]);
  expect(told).toMatchObject([
    { called: { id: 'exec_r_0', name: 'refund', arguments: '{"order":"1"}' } },
    { called: { id: 'exec_r_0', name: 'look', arguments: '{"order":"2"}' } },
    { executed: { id: 'exec_r_0', name: 'look', arguments: '{"order":"2"}', output: 'look 2' } },
  ]);
});

test('a text that differs ends what is told of it, without an error, where the client gets the whole at the end', () => {
  const model = { textStages: new Set(['hear']), agents: new Set(), callers: new Map(), face: { output: 'text' } };
  const attempt = (n: number, text: string): RunEvent[] => {
    const of = { stage: 'hear', path: 'hear', attempt: n };
    return [
      { type: 'stage.started', ...of, kind: 'transcribe', model: 'm' },
      { type: 'stage.delta', ...of, text },
    ];
  };
  const toldOf = (isRepeated: boolean, ...events: RunEvent[]) => {
    const teller = new RunTeller(model as never, 'r', isRepeated);
    return [...events.flatMap((event) => [...teller.of(event)]), ...teller.end({ output: { text: 'Yes. Now.' } })];
  };
  expect(toldOf(true, ...attempt(1, 'No.'))).toEqual([{ text: 'No.' }]);
  expect(toldOf(true, ...attempt(1, 'No.'), ...attempt(2, 'Yes.'))).toEqual([{ text: 'No.' }]);
  expect(() => toldOf(false, ...attempt(1, 'No.'))).toThrow('differs');
});

describe('a text of which events are missing', () => {
  const model = { textStages: new Set(['answer']), agents: new Set(), callers: new Map(), face: { output: 'text' } };
  const of = (attempt: number) => ({ stage: 'answer', path: 'answer', attempt });
  const started = (attempt = 1): RunEvent => ({ type: 'stage.started', ...of(attempt), kind: 'chat', model: 'm' });
  const delta = (text: string, attempt = 1): RunEvent => ({ type: 'stage.delta', ...of(attempt), text });
  const lost: RunEvent = { type: 'events.lost' };
  const text = 'The capital of France is Paris.';

  test.each<[string, RunEvent[], string[]]>([
    [
      'in the middle',
      [started(), delta('The capital '), lost, delta('is Paris')],
      ['The capital ', 'of France is Paris.'],
    ],
    ['at its beginning', [delta('is '), delta('Paris')], [text]],
    [
      'in an attempt that another one follows',
      [started(), delta('The '), lost, delta('is'), started(2), delta('The capital', 2), delta(' of', 2)],
      ['The ', 'capital', ' of', ' France is Paris.'],
    ],
    [
      'in an attempt that follows another one',
      [started(), delta('The capital '), started(2), delta('The ', 2), lost, delta('is', 2)],
      ['The capital ', 'of France is Paris.'],
    ],
  ])('%s is told once and whole, and is no error', (_, events, expected) => {
    const teller = new RunTeller(model as never, 'r');
    const told = [...events.flatMap((event) => [...teller.of(event)]), ...teller.end({ output: { text } })];
    expect(told.flatMap((piece) => ('text' in piece && piece.text !== '' ? [piece.text] : []))).toEqual(expected);
  });

  test('is told whole by AG-UI and A2A too', () => {
    const events = [started(), delta('The capital '), lost, delta('is Paris.')];
    const ui = new RunEvents({ threadId: 't', runId: 'u', messages: [], state: {} } as never, model as never);
    const told = [
      ...ui.start('r'),
      ...events.flatMap((event) => [...ui.of(event)]),
      ...ui.end({ executed: [], toolCalls: [] } as unknown as Answer, { text }),
    ].map(({ data }) => JSON.parse(String(data)) as { type: string; delta?: string });
    expect(told.map(({ type, delta: more }) => (type === 'TEXT_MESSAGE_CONTENT' ? more : '')).join('')).toBe(text);
    const updates = new TaskUpdates({ run: 'r', context: 'c' }, { model } as unknown as Agent, true);
    const updated = [...events.flatMap((event) => [...updates.of(event)]), ...updates.end({ output: { text } }, [])];
    expect(textIn(updated as never)).toBe(text);
  });
});
