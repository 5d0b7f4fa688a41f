import { expect, test } from 'vitest';
import { RunTeller } from '../../../../gateway/openai/told.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';

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
