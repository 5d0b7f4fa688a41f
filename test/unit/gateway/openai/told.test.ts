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
