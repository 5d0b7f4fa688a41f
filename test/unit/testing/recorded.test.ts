import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, pipeline } from '../../../pipelines/index.js';
import { recorded, testPipeline } from '../../../testing/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'answers.json');

const asked = pipeline('asked', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
  text: stage('answer', chat({ model: 'assistant' }), { prompt: input.text }).text,
}));

let calls = 0;
const real = async ({ prompt }: { prompt?: unknown }) => {
  calls += 1;
  return { text: `real: ${String(prompt)}` };
};
const run = (text: string, record = false) =>
  testPipeline(asked, { text }, { stages: { answer: recorded(file, real, { record }) } });

it('answers from the file, once the real answers are in it', async () => {
  await expect(run('one')).rejects.toThrow(/has no answer to this call of "answer" \(\w{16}\); record it once/);
  expect((await run('one', true)).output).toEqual({ text: 'real: one' });
  expect((await run('two', true)).output).toEqual({ text: 'real: two' });
  expect(calls).toBe(2);
  expect((await run('one')).output).toEqual({ text: 'real: one' });
  expect((await run('two', true)).output).toEqual({ text: 'real: two' });
  expect(calls).toBe(2);
  const kept = Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>);
  expect(kept).toContainEqual({
    kind: 'chat',
    model: 'assistant',
    with: { maxTokens: 256, temperature: 0 },
    input: { prompt: 'one', history: [] },
    output: { text: 'real: one' },
  });
});

it('says that a file is not one of answers', async () => {
  writeFileSync(file, '[');
  await expect(run('one')).rejects.toThrow('is not a file of recorded answers');
});
