import { expect, test } from 'vitest';
import type { Agent } from '../../../../gateway/a2a/agents.js';
import { TaskUpdates } from '../../../../gateway/a2a/updates.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { textIn } from '../../../support/a2a-client.js';

const model = {
  textStages: new Set(['answer']),
  agents: new Set(['answer']),
  callers: new Map([['answer', 0]]),
  face: { output: 'text' },
};

test('an agent that says nothing after its calls leaves no answer with its client', () => {
  const updates = new TaskUpdates({ run: 'r', context: 'c' }, { model } as unknown as Agent, true);
  const of = { stage: 'answer', path: 'answer/turn-1', attempt: 1 };
  const events: RunEvent[] = [
    { type: 'stage.started', ...of, kind: 'chat', model: 'm' },
    { type: 'stage.delta', ...of, text: 'I look.' },
    { type: 'tool.called', ...of, path: 'answer/turn-1/look:1', tool: 'look', number: 0, arguments: {} },
  ];
  const told = [...events.flatMap((event) => [...updates.of(event)]), ...updates.end({ output: { text: '' } }, [])];
  expect(textIn(told as never)).toBe('');
  expect(told.at(-1)).toMatchObject({ artifactUpdate: { append: false, lastChunk: true } });
});
