import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openSandboxes, parseSandboxes, sandboxKind } from '../../../../activities/sandbox/index.js';
import type { Outcome, Program } from '../../../../activities/sandbox/sandbox.js';
import { Sandboxes } from '../../../../activities/sandbox/sandboxes.js';
import { inspectorOf } from '../../../../media/index.js';
import { agent, codeTool, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunContext, StageCall } from '../../../../pipelines/run/index.js';
import { place } from '../../../../placement/place.js';
import { FairSlots } from '../../../../runtime/fair-slots.js';
import { type ArtifactStore, openFileStore } from '../../../../stores/artifacts/index.js';
import { runInProcess } from '../../../../workers/hosts/in-process-host.js';
import { poolOf } from '../../../support/runs.js';
import { runScript, type Said, scripted } from '../../../support/scripted-model.js';

let root = '';
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-sandbox-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const put = (text: string, tenant = 'default') =>
  store.put(tenant, Readable.from([Buffer.from(text)]), inspectorOf('file'));
const textOf = async (uri: string) => {
  const parts: Uint8Array[] = [];
  for await (const part of store.read('default', uri)) parts.push(part);
  return Buffer.concat(parts).toString();
};
const context = { signal: new AbortController().signal, audio: {} as never, idempotencyKey: 'k' };

function kindThat(gives: (program: Program) => Outcome) {
  const programs: Program[] = [];
  const sandbox = {
    languages: ['javascript'],
    async run(program: Program) {
      programs.push(program);
      return gives(program);
    },
    async close() {},
  };
  const limits = { timeMs: 1_000, memoryBytes: 1_000_000, outputCharacters: 1_000, fileBytes: 100 };
  const all = new Sandboxes(new Map([['scripts', { sandbox, slots: new FairSlots(4, 4), limits }]]));
  const kind = sandboxKind(all, () => store);
  const call = (options: JsonObject, input: JsonObject) =>
    kind({ model: 'scripts', with: { language: 'javascript', ...options }, input, tenant: 'default' }, context);
  return { call, programs };
}

describe('the files of a call', () => {
  it('are artifacts of the run’s tenant, and what the code makes becomes artifacts', async () => {
    const given = await put('n\n1\n');
    const { call } = kindThat(({ files }) => ({
      stdout: '',
      files: [
        { name: 'copy.csv', bytes: files[0]?.bytes ?? new Uint8Array() },
        { name: '../up', bytes: Uint8Array.of(1) },
        { name: 'empty', bytes: new Uint8Array() },
      ],
    }));
    const output = await call({ files: true }, { code: '1', files: [{ name: 'a.csv', uri: given.uri }] });
    const [made] = output.files as unknown as { name: string; file: { uri: string; mime: string } }[];
    expect(made).toMatchObject({ name: 'copy.csv', file: { mime: 'text/plain', uri: given.uri } });
    expect(await textOf(made?.file.uri ?? '')).toBe('n\n1\n');
    expect(output.files).toHaveLength(1);
    expect(output.error).toMatch(/"\.\.\/up" is not kept: its name[\s\S]*"empty" is not kept: the file is empty/);
  });

  it('are none unless the tool has them', async () => {
    const given = await put('secret');
    const { call, programs } = kindThat(() => ({ stdout: 'x', files: [] }));
    expect(await call({}, { code: '1', files: [{ name: 'a', uri: given.uri }] })).toEqual({ stdout: 'x' });
    expect(programs[0]).toMatchObject({ files: [], limits: { fileBytes: 0 } });
  });

  it.each([
    ['of another tenant', 'ARTIFACT_NOT_FOUND', async () => [{ name: 'a', uri: (await put('theirs', 'other')).uri }]],
    ['that are too large', 'BODY_TOO_LARGE', async () => [{ name: 'a', uri: (await put('x'.repeat(101))).uri }]],
    ['that are no artifacts', 'ARTIFACT_NOT_FOUND', async () => [{ name: 'a', uri: 'file:///etc/passwd' }]],
    ['with a path for a name', 'INVALID_INPUT', async () => [{ name: '../a', uri: (await put('a')).uri }]],
    ['with one name', 'INVALID_INPUT', async () => Array(2).fill({ name: 'a', uri: (await put('a')).uri })],
  ])('are refused: %s', async (_, code, files) => {
    const { call, programs } = kindThat(() => ({ stdout: '', files: [] }));
    await expect(call({ files: true }, { code: '1', files: await files() })).rejects.toMatchObject({ code });
    expect(programs).toEqual([]);
  });
});

describe('an agent with a tool that runs code', () => {
  it('mends its code by what it is told', async () => {
    const sandboxes = await openSandboxes(parseSandboxes({ scripts: { engine: 'quickjs' } }, 'the test'));
    const kind = sandboxKind(sandboxes, () => store);
    const turns: Said[] = [
      { calls: [['run_code', { code: 'const total = [1, 2, 3].sum();\ntotal' }]] },
      { calls: [['run_code', { code: 'console.log("adds"); [1, 2, 3].reduce((a, b) => a + b)' }]] },
      { text: 'It is 6.' },
    ];
    const told: string[] = [];
    const model = scripted('mends', ({ messages }) => {
      told.push(messages.at(-1)?.content ?? '');
      return turns[messages.filter(({ role }) => role === 'assistant').length] ?? { text: 'the end' };
    });
    const sums = pipeline('sums', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
      const use = agent({ model, tools: [codeTool({ sandbox: 'scripts' })] });
      const { text, toolCalls } = stage('answer', use, { prompt: input.q });
      return { text, toolCalls };
    });
    const runner = {
      async run(input: JsonObject, request: StageCall, { signal, attempt }: { signal: AbortSignal; attempt: number }) {
        const { model: name, with: own, tenant, path: key = '' } = request;
        const ended =
          request.kind === 'sandbox'
            ? {
                output: await kind(
                  { model: name, with: own, input, tenant },
                  { signal, audio: {} as never, idempotencyKey: key },
                ),
              }
            : await runScript(request, input);
        return { ...ended, endpoint: '', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      },
    };
    const placement = place(sums.plan, () => poolOf('assistant'), 'test');
    const run: RunContext = { plan: sums.plan, tenant: 'default', placement };
    const { output } = await runInProcess({ q: 'What is 1 + 2 + 3?' }, run, { runner, run: 'r' });
    expect(output).toMatchObject({
      text: 'It is 6.',
      toolCalls: [
        { name: 'run_code', end: 'done', result: { error: expect.stringMatching(/TypeError[\s\S]*code\.js:1/) } },
        { name: 'run_code', end: 'done', result: { result: 6, stdout: 'adds\n' } },
      ],
    });
    expect(told[1]).toMatch(/TypeError/);
    expect(JSON.parse(told[2] ?? '')).toEqual({ result: 6, stdout: 'adds\n' });
    await sandboxes.close();
  });
});
