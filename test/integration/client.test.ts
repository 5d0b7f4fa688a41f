import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { transformWithEsbuild } from 'vite';
import { beforeAll, describe, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { address, CallLog, fixtures } from '../support/runs.js';

/** The client against the real gateway. */
let client: MillraceClient;
beforeAll(() => {
  client = new MillraceClient({ baseUrl: address('GATEWAY_URL') });
});

const log = () => new CallLog().file;

describe('the client', () => {
  it('runs, by definition and by name', async () => {
    const input = { log: log(), ms: 1 };
    expect((await client.run(fixtures.threeSteps, input as never)).output).toEqual({ last: 'third' });
    expect((await client.run('three-steps', input, { outputs: ['last'], priority: 'batch' })).status).toBe('succeeded');
  });

  it('follows, decides and cancels', async () => {
    const { id } = await client.start('gated', { log: log() });
    for await (const event of client.events(id)) {
      if (event.type === 'stage.waiting') await client.approve(id, { nonce: event.nonce, by: 'ada' });
      if (event.type === 'run') expect(event.run).toMatchObject({ status: 'succeeded', output: { by: 'ada' } });
    }
    const other = await client.start('gated', { log: log() });
    await client.cancel(other.id);
    expect(await client.wait(other.id)).toMatchObject({ status: 'cancelled' });
    await expect(client.cancel(other.id)).rejects.toMatchObject({ code: 'RUN_ENDED', status: 409 });
  });

  it('throws what a run fails with', async () => {
    const input = { log: log(), failures: 9, code: 'BACKEND_REJECTED' };
    await expect(client.run('flaky-run', input)).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      run: { status: 'failed', pipeline: 'flaky-run' },
    });
  });
});

describe('docs/reference/client.md', () => {
  it('has an example that runs', async () => {
    const text = await readFile('docs/reference/client.md', 'utf8');
    const [, source = ''] = /```ts\n([\s\S]*?)```/.exec(text) ?? [];
    const { code } = await transformWithEsbuild(source, 'example.ts', { target: 'es2022' });
    // Where the package's own name is found.
    const folder = await mkdtemp(path.resolve('.millrace/client-'));
    const file = path.join(folder, 'example.mjs');
    await writeFile(file, code);
    try {
      const env = { ...process.env, MILLRACE_GATEWAY_URL: address('GATEWAY_URL') };
      const { stdout } = await promisify(execFile)(process.execPath, [file], { env });
      expect(stdout).toMatch(/France\? → .*\n\d{5,} bytes of speech\n/);
      expect(stdout).toContain('\nsucceeded\nRUN_ENDED 409\n');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
