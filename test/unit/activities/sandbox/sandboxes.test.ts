import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { openSandboxes, parseSandboxes } from '../../../../activities/sandbox/index.js';
import type { Outcome, Program, Sandbox } from '../../../../activities/sandbox/sandbox.js';
import { type Asked, Sandboxes } from '../../../../activities/sandbox/sandboxes.js';
import { FairSlots } from '../../../../runtime/fair-slots.js';

const MOST = { timeMs: 1_000, memoryBytes: 1_000_000, outputCharacters: 100, fileBytes: 50 };

function sandboxes(gives: (program: Program) => Outcome) {
  const programs: Program[] = [];
  const sandbox: Sandbox = {
    languages: ['javascript', 'python'],
    async run(program) {
      programs.push(program);
      return gives(program);
    },
    async close() {},
  };
  return { all: new Sandboxes(new Map([['s', { sandbox, slots: new FairSlots(2, 1), limits: MOST }]])), programs };
}

const asked = (limits: Asked['limits'] = {}): Asked => ({
  language: 'python',
  code: 'print(1)',
  files: async () => [],
  limits,
  tenant: 'default',
  idempotencyKey: 'key',
  signal: new AbortController().signal,
});
const empty = { stdout: '', files: [] };

describe('a call', () => {
  it('has the lower ones of the operator’s limits and of its tool’s', async () => {
    const { all, programs } = sandboxes(() => empty);
    await all.run('s', asked({ timeMs: 10, memoryBytes: 2_000_000, fileBytes: 0 }));
    await all.run('s', asked());
    expect(programs.map(({ limits }) => limits)).toEqual([{ ...MOST, timeMs: 10, fileBytes: 0 }, MOST]);
  });

  it('reads its files within the operator’s limit', async () => {
    const { all, programs } = sandboxes(() => empty);
    const most: number[] = [];
    const files = async (bytes: number) => {
      most.push(bytes);
      return [{ name: 'a', bytes: Uint8Array.of(1) }];
    };
    await all.run('s', { ...asked(), files });
    expect(most).toEqual([50]);
    expect(programs[0]?.files).toEqual([{ name: 'a', bytes: Uint8Array.of(1) }]);
  });

  it('does not run where it may not begin any more once it has its place and its files', async () => {
    const { all, programs } = sandboxes(() => empty);
    const done: string[] = [];
    const files = async () => {
      done.push('read');
      return [];
    };
    const mayBegin = async () => {
      done.push('asked');
      throw new Error('the attempt is over');
    };
    await expect(all.run('s', { ...asked(), files, mayBegin })).rejects.toThrow('the attempt is over');
    expect(done).toEqual(['read', 'asked']);
    expect(programs).toEqual([]);
    await all.run('s', { ...asked(), mayBegin: async () => undefined });
    expect(programs).toHaveLength(1);
    expect(programs[0]).not.toHaveProperty('mayBegin');
  });

  it('gives no more than its limits, whatever the sandbox gives', async () => {
    const file = (bytes: number) => ({ name: 'f', bytes: new Uint8Array(bytes) });
    const { all } = sandboxes(() => ({
      result: 'x'.repeat(100),
      stdout: 'y'.repeat(101),
      files: [file(30), file(21)],
      error: 'z'.repeat(5_000),
    }));
    const outcome = await all.run('s', asked());
    expect(outcome.result).toBeUndefined();
    expect(outcome.stdout).toBe(`${'y'.repeat(100)}\n[cut: there were more than 100 characters]`);
    expect(outcome.files).toEqual([]);
    expect(outcome.error).toContain('the result has more than 100 characters');
    expect(outcome.error).toContain('more than 50 bytes');
    expect(outcome.error?.length).toBeLessThan(5_000);
  });

  it('is refused where the worker lacks the sandbox or the language', async () => {
    const { all } = sandboxes(() => empty);
    await expect(all.run('other', asked())).rejects.toMatchObject({
      code: 'SANDBOX_NOT_CONFIGURED',
      message: 'no sandbox "other" (configured: s)',
    });
    await expect(all.run('s', { ...asked(), language: 'ruby' })).rejects.toMatchObject({
      code: 'SANDBOX_NOT_CONFIGURED',
      message: 'the sandbox "s" runs javascript, python, not ruby',
    });
  });
});

describe('the file of sandboxes', () => {
  it('has defaults for all limits', () => {
    expect(parseSandboxes({ scripts: { engine: 'quickjs' } }, 'sandboxes.json')).toEqual({
      scripts: {
        engine: 'quickjs',
        timeMs: 10_000,
        memoryBytes: 64 * 1024 * 1024,
        outputCharacters: 50_000,
        fileBytes: 8 * 1024 * 1024,
        concurrency: Math.min(4, availableParallelism()),
      },
    });
  });

  it.each([
    [{ scripts: { engine: 'v8' } }, /sandboxes\.json: scripts\.engine/],
    [{ scripts: { engine: 'quickjs', timeMs: 0 } }, /scripts\.timeMs/],
    [{ scripts: { engine: 'quickjs', memoryBytes: 1 } }, /scripts\.memoryBytes/],
    [{ scripts: { engine: 'quickjs', time: 1 } }, /scripts: .*time/],
    [{ python: { url: 'file:///etc/passwd', languages: ['python'] } }, /python\.url/],
    [{ python: { url: 'http://127.0.0.1:1', languages: [] } }, /python\.languages/],
    [{ python: { url: 'ftp://x' } }, /python\.url.*python\.languages/],
    [{ 'a b': { engine: 'quickjs' } }, /sandboxes\.json/],
    [[], /\(root\)/],
  ])('is checked: %j', (value, message) => {
    expect(() => parseSandboxes(value, 'sandboxes.json')).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringMatching(message) }),
    );
  });

  it('is opened, and the sandbox that comes with Millrace runs code', async () => {
    const all = await openSandboxes(parseSandboxes({ scripts: { engine: 'quickjs' } }, 'sandboxes.json'));
    const { result } = await all.run('scripts', { ...asked(), language: 'javascript', code: '[1, 2, 3].length' });
    expect(result).toBe(3);
    await all.close();
  });
});
