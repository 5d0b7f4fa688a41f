import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Duration } from '../../pipelines/duration.js';
import { agent, code, type Pipeline, pipeline, type Tool, tool } from '../../pipelines/index.js';
import type { AgentOptions } from '../../pipelines/stages/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
/** What the agents of the suite are asked. */
export const question = z.object({ q: z.string() });

export const weather = tool({
  name: 'get_weather',
  description: 'The weather in a city now',
  input: z.object({ city: z.string() }),
  run: ({ city }) => ({ city, celsius: city.length }),
});
export const clock = tool({
  name: 'get_time',
  description: 'The time in a city now',
  input: z.object({ city: z.string() }),
  run: async ({ city }) => {
    await sleep(20);
    return `noon in ${city}`;
  },
});

export const sum = code(
  'sum',
  { input: z.object({ n: z.number(), by: z.number() }), output: z.object({ n: z.number() }) },
  ({ n, by }) => ({ n: n + by }),
);

/** A pipeline of one agent, whose model says `turns` in order: the n-th when the conversation has n - 1 replies. */
export function agentOf(
  name: string,
  turns: readonly Said[] | ((request: ModelRequest) => Said | Promise<Said>),
  {
    // Dozens of turns, on a machine that does much else.
    deadline = '3m',
    ...options
  }: Partial<AgentOptions> & { readonly tools?: readonly Tool[]; readonly deadline?: Duration } = {},
): Pipeline {
  const script = (request: ModelRequest): Said | Promise<Said> => {
    if (typeof turns === 'function') return turns(request);
    return turns[request.messages.filter(({ role }) => role === 'assistant').length] ?? { text: 'the end' };
  };
  const model = scripted(name, script);
  const made = pipeline(name, { input: question, deadline }, ({ input, stage }) => {
    const answer = stage('answer', agent({ ...options, model }), { prompt: input.q }, { retry: { attempts: 1 } });
    return {
      text: answer.text,
      turns: answer.turns,
      toolCalls: answer.toolCalls,
      stoppedBy: answer.stoppedBy,
      usage: answer.usage,
    };
  });
  return made as unknown as Pipeline;
}
