import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SUITE = path.resolve('node_modules/@modelcontextprotocol/conformance/dist/index.js');
/** Checks of a revision that the door fails. */
const baselineOf = (revision: string) => path.resolve(`test/fixtures/mcp-conformance-${revision}.yml`);
const WITH_GLOB = path.resolve('test/support/mcp/with-glob.mjs');

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  /** Checks that were expected to fail, and did. */
  readonly failed: readonly string[];
}

/** The checks that the door is expected to fail: the suite does not notice one that is never made. */
export const exceptedOf = (revision: string): readonly string[] =>
  namesIn(readFileSync(baselineOf(revision), 'utf8'), /^ {2}- (\S+)/gm);

const namesIn = (text: string, line: RegExp): readonly string[] =>
  [...new Set([...text.matchAll(line)].map(([, name = '']) => name))].sort();

/** Runs the public suite’s server scenarios of a revision against a door, extensions among them. */
export async function conformance(url: string, revision: string): Promise<Outcome> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-mcp-'));
  const args = [
    '--import',
    WITH_GLOB,
    SUITE,
    'server',
    '--url',
    url,
    '--requirements',
    revision,
    '--expected-failures',
    baselineOf(revision),
    '--output-dir',
    folder,
  ];
  const child = spawn(process.execPath, args, { cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  // With all that it has written.
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) output += reasonsIn(folder);
  return { code, output, failed: namesIn(output, /^ {2}~ (\S+)$/gm) };
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** Why checks have failed: the suite writes it into files only. */
function reasonsIn(folder: string): string {
  const lines = ['', 'Why:'];
  for (const scenario of readdirSync(folder)) {
    const file = path.join(folder, scenario, 'checks.json');
    if (!existsSync(file)) continue;
    for (const { id, status, errorMessage } of JSON.parse(readFileSync(file, 'utf8')) as Check[]) {
      if (status === 'FAILURE') lines.push(`  ${scenario} ${id}: ${errorMessage}`);
    }
  }
  return lines.join('\n');
}
