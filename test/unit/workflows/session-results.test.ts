import { expect, it } from 'vitest';
import { z } from 'zod';
import type { Artifact } from '../../../pipelines/artifact.js';
import { agent, type Pipeline, pipeline, tool } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { testPipeline, toolCalls } from '../../../testing/index.js';

/* Long results of a session's runs: each name in its messages is that of one result. */

const contract = tool({
  name: 'get_contract',
  description: 'A contract',
  input: z.object({ of: z.string() }),
  run: ({ of }) => `${of}: ${'clause '.repeat(2_000)}`,
});
const talk = pipeline('talk', { input: z.object({ says: z.string(), session: z.string() }) }, ({ input, stage }) => {
  const use = agent({ model: 'm', tools: [contract], session: {}, context: { resultCharacters: 1_000 } });
  return { text: stage('answer', use, { prompt: input.says, session: input.session }).text };
}) as unknown as Pipeline;

interface Saved {
  readonly messages: readonly JsonObject[];
  readonly wholes?: Readonly<Record<string, Artifact>>;
}

/** A run in a session that is so, in which the model makes these calls one after the other. */
async function run(session: object, ...calls: readonly (readonly [tool: string, given: JsonObject])[]) {
  const turns = calls.map((call, i) => [`answer/turn-${i + 1}`, toolCalls(call)] as const);
  const stages = {
    'answer/session/load': session as JsonObject,
    ...Object.fromEntries(turns),
    answer: { text: 'So.' },
  };
  const ended = await testPipeline(talk, { says: 'Go on.', session: 's' }, { stages });
  expect(ended.error).toBeUndefined();
  const saved = ended.calls.find(({ path }) => path === 'answer/session/save')?.input.part as unknown as Saved;
  return { saved, read: ended.calls.filter(({ kind }) => kind === 'result').map(({ input }) => input.read) };
}

it('the name of a long result is that of no other run’s, and a later run reads on in it', async () => {
  const first = await run({ messages: [], parts: 0, wholes: {} }, ['get_contract', { of: 'A' }]);
  const [name = ''] = Object.keys(first.saved.wholes ?? {});
  expect(name).toMatch(/^r[0-9a-f]{8}$/);
  expect(JSON.stringify(first.saved.messages)).toContain(JSON.stringify(`"result": "${name}"`).slice(1, -1));
  const session = { ...first.saved, parts: 1 };
  const second = await run(session, ['get_contract', { of: 'B' }], ['read_result', { result: name, find: 'notice' }]);
  expect(second.read[0]).toEqual(first.saved.wholes?.[name]);
  const names = Object.keys(second.saved.wholes ?? {});
  expect(names).toHaveLength(1);
  expect(names).not.toContain(name);
});

it('a session of which a worker of an earlier release has read numbers them as before, and keeps none', async () => {
  const { saved } = await run({ messages: [], parts: 0 }, ['get_contract', { of: 'A' }]);
  expect(saved.wholes).toBeUndefined();
  expect(JSON.stringify(saved.messages)).toContain('\\"result\\": \\"r1\\"');
});
