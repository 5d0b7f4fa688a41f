import { afterEach, beforeEach } from 'vitest';
import { z } from 'zod';
import { assistant, chatModel, ragAnswer } from '../../../../pipelines/catalog/index.js';
import { chat, chatInput, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';

/** A pipeline whose author lets go what it does not take. */
const tolerant = pipeline(
  'tolerant',
  {
    input: z.object({ q: z.string() }),
    openai: { chat: { input: 'q', output: 'a', ignore: ['system', 'temperature', 'name'] } },
  },
  ({ input, stage }) => ({ a: stage('answer', chat({ model: 'assistant' }), { prompt: input.q }).text }),
);

/** A pipeline that takes tools, and no choice among them. */
const choiceless = pipeline(
  'choiceless',
  {
    input: z.object({ prompt: z.string(), tools: chatInput.shape.tools }),
    openai: { chat: { input: 'prompt', output: 'text' } },
  },
  ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), input).text }),
);

const usage = { inputTokens: 7, outputTokens: 2 };
const stages = [
  { stage: 'answer', kind: 'chat', connector: 'x', model: 'm', device: '', status: 'done', usage } as const,
];
export const user = { role: 'user', content: 'Why?' };

/** A gateway of chats for the tests of a file, whose runs are scripted. */
export function chatDoor() {
  const door = {
    gateway: undefined as unknown as TestGateway,
    /** What the run tells while it runs. */
    events: [] as RunEvent[],
  };
  beforeEach(async () => {
    door.events = [];
    door.gateway = await testGateway(
      {},
      {
        pipelines: [chatModel, assistant, ragAnswer, tolerant, choiceless] as unknown as Pipeline[],
        placementOf: () => ({}),
        events: toldEvents(() => door.events),
      },
    );
  });
  afterEach(() => door.gateway.close());
  const post = (body: object) =>
    door.gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { messages: [user], ...body } });
  const answers = (output: JsonObject) => {
    door.gateway.temporal.onStart = (run) => run.end({ output, stages });
  };
  const inputGiven = (): JsonObject => door.gateway.temporal.only().options.args[0];
  const contextGiven = () => door.gateway.temporal.only().options.args[1];
  return Object.assign(door, { post, answers, inputGiven, contextGiven });
}
