import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SUITE = path.resolve('node_modules/@modelcontextprotocol/conformance/dist/index.js');
/** Checks of a revision that the door fails. */
const baselineOf = (revision: string) => path.resolve(`test/fixtures/mcp-conformance-${revision}.yml`);
const WITH_GLOB = path.resolve('test/support/mcp/with-glob.mjs');

export interface Outcome {
  /** Checks that have failed, or warn, as `scenario:check`, sorted. */
  readonly failed: readonly string[];
  /** How many scenarios have left no result. */
  readonly lost: number;
  /** All that the suite has written, and why checks have failed. */
  readonly output: string;
}

/** The checks that the door is expected to fail, sorted. */
export const exceptedOf = (revision: string): readonly string[] =>
  [...readFileSync(baselineOf(revision), 'utf8').matchAll(/^ {2}- (\S+)/gm)].map(([, check = '']) => check).sort();

/**
 * Runs the public suite’s server scenarios of a revision against a door, extensions and pending ones among them. Their results are read here: the
 * suite’s own exit status leaves out those two.
 */
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
    '--output-dir',
    folder,
  ];
  const child = spawn(process.execPath, args, { cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  // With all that it has written.
  await once(child, 'close');
  const [, scenarios = Number.NaN] = /\((\d+) scenarios\)/.exec(output) ?? [];
  const found = resultsIn(folder);
  const failures = found.flatMap(([scenario, checks]) =>
    checks
      .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
      .map(({ id, errorMessage }) => [`${scenario}:${id}`, errorMessage] as const),
  );
  return {
    failed: [...new Set(failures.map(([check]) => check))].sort(),
    lost: Number(scenarios) - found.length,
    output: [output, 'Why:', ...failures.map((failure) => `  ${failure.join(': ')}`)].join('\n'),
  };
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** The results of scenarios, by name: each is in a folder called after it and the time. */
const resultsIn = (folder: string): readonly (readonly [scenario: string, checks: readonly Check[]])[] =>
  readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name, 'checks.json');
    const [, scenario] = /^server-(.+)-\d{4}-\d{2}-\d{2}T/.exec(name) ?? [];
    if (scenario === undefined || !existsSync(file)) return [];
    return [[scenario, JSON.parse(readFileSync(file, 'utf8')) as readonly Check[]] as const];
  });
