import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, chat, code, type Pipeline, pipeline, pipelineTool } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { wholeRun } from '../../../pipelines/run/build-segment.js';
import type { RunContext, StageCall } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { contextOf } from '../../support/in-process.js';
import { runScript, scripted } from '../../support/scripted-model.js';

const text = z.object({ text: z.string() });
const copy = code('copy', { input: text, output: text }, (given) => given);
const answering = scripted('answering', () => ({ text: 'x' }));
const asking = scripted('asking', ({ messages }) => (messages.length > 1 ? { text: 'x' } : { calls: [['inner', {}]] }));
const inner = pipeline('inner', { description: 'x', input: z.object({}) }, ({ stage }) => ({
  text: stage('think', chat({ model: answering }), { prompt: '?' }).text,
}));
const copying = pipeline('copying', { input: text }, ({ input, stage }) => ({
  text: stage('near', copy, { text: input.text }, { execution: 'inline' }).text,
}));
const outer = pipeline('outer', { input: text }, ({ input, stage, run }) => {
  const child = run('child', copying, { text: input.text }, { as: 'child' });
  const { text } = stage('answer', agent({ model: asking, tools: [pipelineTool(inner)] }), { prompt: child.text });
  return { text };
}) as unknown as Pipeline;

/** The calls that a run makes, as `<stage>: sealed` where their large values are sealed. */
async function callsOf(more: Partial<RunContext>): Promise<Set<string>> {
  const calls = new Set<string>();
  const runner = {
    async run(input: JsonObject, call: StageCall) {
      calls.add(`${call.stage}${call.sealed ? ': sealed' : ''}`);
      const { output } = call.kind === 'chat' ? await runScript(call, input) : { output: input };
      return { output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 } as const;
    },
  };
  await runInProcess({ text: 'a' }, { ...contextOf(outer), ...more }, { runner, run: 'r' });
  return calls;
}

it('large values are sealed in every call of a run whose context says so, also in those of child runs', async () => {
  expect(await callsOf({ sealed: true })).toEqual(new Set(['near: sealed', 'answer: sealed', 'think: sealed']));
});

it('nothing is sealed of a run that a gateway of 0.3.0 has started', async () => {
  expect(await callsOf({})).toEqual(new Set(['near', 'answer', 'think']));
});

it('a segment of such a run says so too', () => {
  const context = contextOf(copying as unknown as Pipeline);
  expect(wholeRun({ text: 'a' }, { ...context, sealed: true })?.context.sealed).toBe(true);
  expect(wholeRun({ text: 'a' }, context)?.context).not.toHaveProperty('sealed');
});
