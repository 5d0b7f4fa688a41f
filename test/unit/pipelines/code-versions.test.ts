import { mkdirSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CodeFunctions } from '../../../activities/stage/code-functions.js';
import { pinned } from '../../../pipelines/definition/pinned.js';
import { agent, code, type Pipeline, pipeline, pipelineTool, tool } from '../../../pipelines/index.js';
import type { NamedCode } from '../../../pipelines/stages/kind.js';
import { codeQueues, queuesOfCode } from '../../../placement/queues.js';
import { sourcesOf } from '../../../workers/sources.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const stated = code('stated', { input: one, output: one, version: '2' }, ({ n }) => ({ n }));
const build = { version: 'build-abc', sources: 'abc' };
const versionsIn = (value: unknown): string[] =>
  [...JSON.stringify(value).matchAll(/"codeVersion":"([^"]*)"/g)].map(([, version = '']) => version);

describe('a deployment pins every function', () => {
  const inner = pipeline('inner', { input: one }, ({ input, stage }) => ({ n: stage('a', add, { n: input.n }).n }));
  const lookUp = tool({ name: 'look_up', description: 'Looks up', input: one, run: ({ n }) => n });
  const whole = pipeline(
    'whole',
    { input: one.extend({ list: z.array(z.number()), yes: z.boolean() }) },
    ({ input, stage, when, each, run }) => {
      const first = stage('first', add, { n: input.n }, { fallback: [add] }).n;
      stage('second', stated, { n: first });
      const options = { model: 'assistant', tools: [lookUp, pipelineTool(inner, { description: 'Adds' })] };
      stage('asks', agent(options), { prompt: 'x' });
      const [inline, child] = (['inline', 'child'] as const).map((as) => run(as, inner, { n: first }, { as }).n);
      const items = each('items', input.list, (n) => stage('item', add, { n }).n);
      const other = when(
        'branch',
        input.yes,
        () => stage('then', add, { n: 1 }).n,
        () => stage('else', add, { n: 1 }).n,
      );
      return { inline, child, items, other };
    },
  ) as unknown as Pipeline;

  it('of stages, alternatives, tools, branches, loops and pipelines in pipelines', () => {
    expect(versionsIn(whole.plan)).toEqual(['2']);
    const own = pinned(whole, build);
    expect(versionsIn(own.plan).sort()).toEqual(['2', ...Array.from({ length: 9 }, () => 'build-abc')]);
    expect(own.plan.version).not.toBe(whole.plan.version);
    expect([...own.code.keys()].sort()).toEqual(['add@build-abc', 'stated@2', 'whole/look_up@build-abc']);
    expect(pinned(whole, { version: 'build-def', sources: 'def' }).plan.version).not.toBe(own.plan.version);
    expect(pinned(whole, build).plan).toEqual(own.plan);
  });

  it('and refuses a version that is none', () => {
    const make = (more: object) => () => code('x', { input: one, output: one, ...more }, ({ n }) => ({ n }));
    expect(make({ version: 'a b' })).toThrow('x.version');
    expect(make({ version: 2 })).toThrow('x.version');
    expect(make({ compatible: [] })).toThrow('x.compatible');
    expect(make({ compatible: false })).toThrow('x.compatible');
  });
});

describe('a worker finds a function', () => {
  const body = (version: string, compatible?: NamedCode['compatible']): NamedCode => ({
    name: 'f',
    version,
    ...(compatible !== undefined && { compatible }),
    input: one,
    output: one,
    run: () => version,
  });
  const found = (functions: NamedCode[], version?: string) => new CodeFunctions(functions).get('f', version)?.version;

  it('of the version that is asked for, among several', () => {
    const all = [body('1'), body('2', true)];
    expect([found(all, '1'), found(all, '2')]).toEqual(['1', '2']);
    expect(found([body('1')], '2')).toBeUndefined();
  });

  it('or one that stands in for it, but an older one never for a newer', () => {
    expect(found([body('2', true)], '1')).toBe('2');
    expect(found([body('2', true)], '1.10')).toBe('2');
    expect(found([body('2', true)], 'build-abc')).toBe('2');
    expect(found([body('2', true)], '10')).toBeUndefined();
    expect(found([body('3', ['1'])], '1')).toBe('3');
    expect(found([body('3', ['1'])], '2')).toBeUndefined();
  });

  it('and without a version the only one of the name', () => {
    expect(found([body('1')])).toBe('1');
    expect(found([body('1'), body('2')])).toBeUndefined();
    expect(() => new CodeFunctions([body('1'), body('1')])).toThrow('named "f" in version 1');
  });

  it('on queues that calls of the version go to, and on no other', () => {
    const served = (functions: NamedCode[]) => queuesOfCode('q', functions);
    const shared = { ...body('build-abc'), sources: 'abc' };
    expect(served([shared, { ...shared, name: 'g' }])).toEqual([codeQueues('q', 'f', 'build-abc')[0]]);
    expect(codeQueues('q', 'f', 'build-abc')[0]).toBe(codeQueues('q', 'g', 'build-abc')[0]);
    expect(codeQueues('q', 'f', '1')[0]).not.toBe(codeQueues('q', 'g', '1')[0]);
    // A body of an earlier build that an author keeps is not all of that build.
    expect(served([body('build-abc')])).toEqual([codeQueues('q', 'f', 'build-abc')[1]]);
    expect(served([body('2', ['1'])])).toEqual([codeQueues('q', 'f', '1')[0], codeQueues('q', 'f', '2')[0]]);
    expect(codeQueues('q', 'f', '1')).toContain(served([body('2', true)]).find((queue) => queue.endsWith('*')));
  });
});

describe('a build is known by its sources', () => {
  const folder = () => mkdtempSync(path.join(tmpdir(), 'millrace-'));
  function deploy(files: Record<string, string>, into = folder()): string {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(into, name)), { recursive: true });
      writeFileSync(path.join(into, name), text);
    }
    return path.join(into, 'main.mjs');
  }
  const files = {
    'main.mjs': "import { a } from './lib/a.js';\nimport 'millrace';\nconst t = await import(`./lib/late.mjs?x`);",
    'lib/a.ts': "export * from '../b/index.js'; const data = new URL('./data.json', import.meta.url);",
    'lib/late.mjs': 'export const late = 1;',
    'lib/data.json': '{}',
    'b/index.js': "import './nowhere.js'; import '../main.mjs';",
    'unused.mjs': '1',
  };

  it('which are the same wherever they lie', async () => {
    expect(await sourcesOf(deploy(files))).toBe(await sourcesOf(deploy(files)));
    const at = folder();
    const first = await sourcesOf(deploy(files, path.join(at, 'one')));
    renameSync(path.join(at, 'one'), path.join(at, 'two'));
    expect(await sourcesOf(path.join(at, 'two/main.mjs'))).toBe(first);
  });

  it.each(['main.mjs', 'lib/a.ts', 'lib/late.mjs', 'lib/data.json', 'b/index.js'] as const)(
    '%s is one of them',
    async (name) => {
      const changed = { ...files, [name]: `${files[name]}\n// changed` };
      expect(await sourcesOf(deploy(changed))).not.toBe(await sourcesOf(deploy(files)));
    },
  );

  it('and what nobody names is none', async () => {
    expect(await sourcesOf(deploy({ ...files, 'unused.mjs': '2' }))).toBe(await sourcesOf(deploy(files)));
  });
});
