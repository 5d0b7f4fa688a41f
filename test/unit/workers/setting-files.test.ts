import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { examine } from '../../../cli/doctor/examine.js';
import { loadMcpServers } from '../../../workers/mcp-servers.js';
import { readSettings, settingsSchema } from '../../../workers/settings.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));

function file(name: string, text: string): string {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
}

test.each([
  ['a key without quotes', '{"search": {"url": "https://s.example", "headers": {"authorization": sk-hidden}}}'],
  ['text behind the end', '{"search": {"url": "https://s.example"}} sk-hidden'],
  ['a line break in a key', '{"search": {"url": "https://s.example", "headers": {"authorization": "sk-\nhidden"}}}'],
  ['no end', '{"search": {"url": "https://s.example", "headers": {"authorization": "sk-hidden'],
])('%s in a file of settings is told without the text around it', async (_, text) => {
  const read = loadMcpServers(readSettings({ MILLRACE_MCP_SERVERS: file('mcp.json', text) }));
  const error: unknown = await read.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'INVALID_SETTING',
    message: expect.stringMatching(/MILLRACE_MCP_SERVERS.*JSON/),
  });
  expect(String(error)).not.toMatch(/hidden|example/);
});

test('a byte order mark, as Windows writes it, is no part of a file of settings', async () => {
  const text = '\ufeff{"search": {"url": "https://s.example/mcp"}}\r\n';
  const read = await loadMcpServers(readSettings({ MILLRACE_MCP_SERVERS: file('marked.json', text) }));
  expect(read).toMatchObject({ search: { url: 'https://s.example/mcp' } });
});

describe('doctor', () => {
  const dead = '127.0.0.1:1';
  const servers = { TEMPORAL_ADDRESS: dead, REDIS_URL: `redis://${dead}`, REDIS_CACHE_URL: `redis://${dead}/1` };
  const named = Object.entries(settingsSchema().shape).flatMap(([name, { description = '' }]) =>
    /^(?:JSON|Placement) file/.test(description) ? [name] : [],
  );

  it('knows the settings that name a file', () => {
    expect(named).toEqual(expect.arrayContaining(['MILLRACE_MODELS', 'MILLRACE_KEYS', 'MILLRACE_WEBHOOKS']));
    expect(named.length).toBeGreaterThan(5);
  });

  it.each(named)('reads the file of %s, without which worker or gateway do not start', async (name) => {
    const env = { MILLRACE_CONFIG: 'none', MILLRACE_MODELS: file('models.json', '{}'), ...servers };
    const about = async (text: string) => {
      const findings = await examine({ ...env, [name]: file('broken.json', text) });
      return findings.filter(({ id, state }) => id.startsWith('settings.') && state === 'fail');
    };
    const failed = await about('{"broken": sk-hidden}');
    expect(failed).toHaveLength(1);
    // A placement has no keys.
    if (name !== 'MILLRACE_PLACEMENT') expect(JSON.stringify(failed)).not.toContain('hidden');
  });
});
