import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SUITE = path.resolve('node_modules/@modelcontextprotocol/conformance/dist/index.js');
const BASELINE = path.resolve('test/fixtures/mcp-conformance.yml');
const WITH_GLOB = path.resolve('test/support/mcp/with-glob.mjs');

/** Runs every server scenario of the public suite against a door. */
export async function conformance(url: string): Promise<{ code: number | null; output: string }> {
  const args = [
    '--import',
    WITH_GLOB,
    SUITE,
    'server',
    '--url',
    url,
    '--suite',
    'all',
    '--expected-failures',
    BASELINE,
  ];
  // It writes its results into the folder that it runs in.
  const child = spawn(process.execPath, args, { cwd: mkdtempSync(path.join(tmpdir(), 'millrace-mcp-')) });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, output };
}
