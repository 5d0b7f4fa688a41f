import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { importCommands } from '../../../cli/import-command.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-import-'));
const at = (name: string) => path.join(folder, name);

afterEach(() => void vi.restoreAllMocks());

/** What `millrace trace import` or `profiles import` writes to stderr. */
async function imported(...args: readonly string[]): Promise<string> {
  let told = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told += String(text);
    return true;
  });
  const cli = new Command('millrace').exitOverride().configureOutput({ writeErr: () => undefined });
  importCommands(cli);
  await cli.parseAsync([...args], { from: 'user' });
  return told;
}

describe('millrace trace import', () => {
  const trace = async (text: string, ...args: readonly string[]) => {
    writeFileSync(at('in.csv'), text);
    const told = await imported('trace', 'import', 'csv', at('in.csv'), '--out', at('out.csv'), ...args);
    return { told, written: readFileSync(at('out.csv'), 'utf8') };
  };

  it('says how many requests it has written, and which sizes it has left out', async () => {
    const { told, written } = await trace('time,tokens_in,tokens_out\n0,1,5\n1,2,\n');
    expect(written).toBe('timestamp_s,tokens_in\n0.000000,1\n1.000000,2\n');
    expect(told).toMatch(/^tokens_out dropped: 1 of 2 requests lack it, the first is line 3$/m);
    expect(told).toMatch(/: 2 requests$/m);
  });

  it('keeps the first requests of a file in any order', async () => {
    const times = Array.from({ length: 1_000 }, (_, i) => (i * 619) % 1_000);
    const { written } = await trace(`time,n\n${times.map((time) => `${time},${time}`).join('\n')}`, '--limit', '3');
    expect(written).toBe('timestamp_s,n\n0.000000,0\n1.000000,1\n2.000000,2\n');
  });

  it('refuses a sample without requests, and writes nothing', async () => {
    writeFileSync(at('in.csv'), 'time,n\n0,1\n1,2\n');
    const sampled = (share: string) =>
      imported('trace', 'import', 'csv', at('in.csv'), '--out', at('empty.csv'), '--sample', share);
    await expect(sampled('0')).rejects.toThrow(/'--sample <share>' argument '0' is invalid.* above 0, at most 1/);
    await expect(sampled('0.000001')).rejects.toMatchObject({
      code: 'INVALID_TRACE',
      message: expect.stringMatching(/in\.csv: --sample 0\.000001 keeps none of its 2 requests/),
    });
    expect(existsSync(at('empty.csv'))).toBe(false);
  });

  it('refuses a file that is not there', async () => {
    await expect(imported('trace', 'import', 'azure', at('none.csv'))).rejects.toMatchObject({
      code: 'INVALID_TRACE',
      message: expect.stringMatching(/^cannot read .*none\.csv/),
    });
  });
});

describe('millrace profiles import', () => {
  it('writes a file for each profile, and says what a plan will say of it', async () => {
    writeFileSync(at('ma.csv'), 'Model,Batch,Concurrency,p99 Latency (ms)\nocr,1,1,9\n');
    const out = at('profiles');
    const args = ['--device-kind', 'l4', '--out', out];
    const told = await imported('profiles', 'import', 'model-analyzer', at('ma.csv'), ...args);
    expect(told).toContain(`${out}: 1 profiles\n`);
    expect(told).toMatch(/^ocr: its measurements have no median, for which their 99th percentile stands/m);
    const written = JSON.parse(readFileSync(path.join(out, 'ocr-l4.json'), 'utf8'));
    expect(written).toMatchObject({ model: 'ocr', deviceKind: 'l4' });
  });

  it('refuses a file that is not there', async () => {
    await expect(imported('profiles', 'import', 'csv', at('none.csv'))).rejects.toMatchObject({
      code: 'INVALID_PROFILE',
      message: expect.stringMatching(/^cannot read .*none\.csv/),
    });
  });
});
