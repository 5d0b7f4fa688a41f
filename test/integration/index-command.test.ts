import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { address } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SAMPLE = fileURLToPath(new URL('../../deploy/local/docs.jsonl', import.meta.url));
const tenant = `t-${randomUUID()}`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const millrace = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  promisify(execFile)(process.execPath, [MAIN, 'index', ...args], {
    env: { ...process.env, ...testEnvironment(more), NO_COLOR: '1' },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );

afterAll(async () => {
  const redis = new Redis(address('REDIS_INDEX_URL'));
  const keys = await redis.keys(`millrace:index:{${tenant}}:*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

describe('millrace index', () => {
  it('puts a file and searches it', async () => {
    expect(await millrace(['put', 'docs', SAMPLE, '--tenant', tenant])).toMatchObject({
      code: 0,
      stdout: `20 passages put into the index "docs" of tenant "${tenant}"\n`,
    });
    const query = 'How are broken models repaired?';
    const { stdout } = await millrace(['search', 'docs', query, '--tenant', tenant, '--k', '2', '--json']);
    const { passages } = JSON.parse(stdout) as { passages: { id: string; score: number }[] };
    expect(passages).toHaveLength(2);
    expect(passages[0]).toMatchObject({ id: 'heal', metadata: { topic: 'resilience' } });
    expect(passages[0]?.score).toBeGreaterThan(passages[1]?.score ?? 1);
    const table = await millrace(['search', 'docs', query, '--tenant', tenant, '--min-score', '0.3']);
    expect(table.stdout).toMatch(/^score +id +text\n0\.\d{3} +heal +When a model is ready/);
  });

  it('writes nothing of a file with a wrong line, which it names', async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'wrong.jsonl');
    writeFileSync(file, '{"text":"One."}\n{"text":""}\n');
    const put = await millrace(['put', 'wrong', file, '--tenant', tenant]);
    expect(put).toMatchObject({ code: 2, stderr: expect.stringContaining('line 2: text: it is empty') });
    const search = await millrace(['search', 'wrong', 'x', '--tenant', tenant]);
    expect(search).toMatchObject({ code: 1, stderr: expect.stringContaining('INDEX_NOT_FOUND') });
  });

  it('deletes passages by their ids, and an index with all of them', async () => {
    expect(await millrace(['put', 'old', SAMPLE, '--tenant', tenant])).toMatchObject({ code: 0 });
    const some = ['delete', 'old', '--id', 'heal', '--id', 'no such passage', '--tenant', tenant];
    expect(await millrace(some)).toMatchObject({
      code: 0,
      stdout: `1 passages of the index "old" of tenant "${tenant}" deleted\n`,
    });
    const search = ['search', 'old', 'How are broken models repaired?', '--k', '20', '--json', '--tenant', tenant];
    const { stdout } = await millrace(search);
    const { passages } = JSON.parse(stdout) as { passages: { id: string }[] };
    expect(passages).toHaveLength(19);
    expect(passages.map(({ id }) => id)).not.toContain('heal');
    const whole = await millrace(['delete', 'old', '--json', '--tenant', tenant]);
    expect(JSON.parse(whole.stdout)).toEqual({ index: 'old', tenant, passages: 19 });
    for (const args of [
      ['search', 'old', 'x'],
      ['delete', 'old'],
      ['delete', 'old', '--id', 'heal'],
    ]) {
      expect(await millrace([...args, '--tenant', tenant]), args.join(' ')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('INDEX_NOT_FOUND'),
      });
    }
  });

  it('ends with 3 when Redis is away, and with 2 for wrong usage', async () => {
    const away = { REDIS_INDEX_URL: `redis://127.0.0.1:${await freePort()}`, MILLRACE_INDEX_TIMEOUT_MS: '500' };
    expect(await millrace(['search', 'docs', 'x'], away)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('STORE_UNAVAILABLE'),
    });
    for (const wrong of [
      ['--k', '0'],
      ['--min-score', '2'],
      ['--tenant', 'A/B'],
    ]) {
      expect((await millrace(['search', 'docs', 'x', ...wrong])).code, wrong.join(' ')).toBe(2);
    }
  });
});
