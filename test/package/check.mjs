// Checks the package as it would be published: its files, its entries and their types. Needs the build. Part of `npm run check`.
//   node test/package/check.mjs
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { exports: entries, ...manifest } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

/** Schemas, and the patterns of JSON Schemas in linear time. */
const LANGUAGE = ['zod', 're2js'];

/** What an entry loads besides Millrace’s own files. */
const LOADS = {
  './connector': LANGUAGE,
  './testing': LANGUAGE,
  '.': LANGUAGE,
  './client': [],
  './temporal': [],
  './catalog': LANGUAGE,
  './server': [],
};

/**
 * What a worker and a gateway load when they first use it, and many never do: before they are ready each of these would take
 * some tens of milliseconds of a core. Beginnings of files.
 */
const LOADED_LATER = {
  'dist/workers/worker.js': ['@modelcontextprotocol/', 'openai/client.', 'undici/', 'yaml/'],
  'dist/workers/gateway.js': [
    ...['@modelcontextprotocol/client/', '@temporalio/worker/', 'jose/', 'openai/client.', 'undici/', 'yaml/'],
  ],
};

/** The package in the project that `millrace init` writes, to which that project’s page links. */
const INSTALLED = `node_modules/${manifest.name}/`;

/** Older ways of resolution: the package has ES modules only, and subpaths that need `exports`. */
const NOT_SERVED = ['node10', 'node16-cjs'];

const problems = [];
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-package-'));
try {
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: ROOT,
  });
  const [{ filename, files, size }] = JSON.parse(packed);
  const tarball = new Uint8Array(readFileSync(path.join(folder, filename)));
  const names = new Set(files.map(({ path }) => path));
  checkFiles(names);
  const lint = publint({ strict: true, pack: { tarball: tarball.buffer } });
  const types = checkPackage(createPackageFromTarballData(tarball));
  problems.push(...(await lint).messages.map((message) => `publint: ${formatMessage(message, manifest)}`));
  problems.push(...typeProblems(await types));
  checkLoading();
  if (problems.length === 0)
    process.stdout.write(`${`package: ${names.size} files, ${(size / 1024 ** 2).toFixed(1)} MiB packed`}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;

function checkFiles(names) {
  for (const name of names) {
    // The project that `millrace init` writes is shipped as it is.
    const project = name.startsWith('deploy/project/');
    if (!project && /\.tsbuildinfo$|^dist\/bench\/|(?<!\.d)\.[cm]?ts$/.test(name)) problems.push(`${name} is packed`);
    if (name.endsWith('.map')) checkMap(name);
    if (/\.md$|^llms\.txt$/.test(name)) checkLinks(name, names);
  }
  const targets = Object.values(entries).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry)));
  const wanted = [
    ...targets,
    manifest.bin.millrace,
    'docs/reference/configuration.md',
    'docs/guides/guarantees.md',
    'CHANGELOG.md',
    'deploy/project/gitignore',
    'deploy/project/pipelines.ts',
  ];
  for (const name of wanted) {
    if (!names.has(name.replace(/^\.\//, ''))) problems.push(`${name} is not packed`);
  }
}

/** Who has only the package can follow each relative link of its pages; a unit test checks the anchors. */
function checkLinks(name, names) {
  const links = readFileSync(path.join(ROOT, name), 'utf8').matchAll(/\]\(([^)\s#]+)|^\[[^\]]+\]: *([^\s#]+)/gm);
  for (const [, inline, below] of links) {
    const target = inline ?? below;
    if (/^[a-z]+:/.test(target)) continue;
    const linked = target.startsWith(INSTALLED)
      ? target.slice(INSTALLED.length)
      : path.posix.join(path.posix.dirname(name), target);
    if (!names.has(linked)) problems.push(`${name} links to ${linked}, which is not packed`);
  }
}

/** A source map without its sources leads nowhere. */
function checkMap(name) {
  const { sources, sourcesContent } = JSON.parse(readFileSync(path.join(ROOT, name), 'utf8'));
  if (sources.length !== sourcesContent?.length) problems.push(`${name} is a source map without sources`);
}

function typeProblems({ problems: found }) {
  return found
    .filter(({ resolutionKind }) => !NOT_SERVED.includes(resolutionKind))
    .map((problem) => `attw: ${JSON.stringify(problem)}`);
}

function checkLoading() {
  const scripts = Object.keys(entries).filter((entry) => entry !== './package.json');
  for (const entry of scripts) {
    const expected = LOADS[entry];
    if (expected === undefined) {
      problems.push(`${entry} is no known entry: say in LOADS of test/package/check.mjs what it loads`);
      continue;
    }
    const loaded = new Set(filesLoadedBy(manifest.name + entry.slice(1)).map(packageOf));
    const more = [...loaded].filter((name) => !expected.includes(name));
    if (more.length > 0)
      problems.push(`${entry} loads ${more.join(', ')}; expected ${expected.join(', ') || 'nothing'}`);
  }
  for (const [module, later] of Object.entries(LOADED_LATER)) {
    const early = filesLoadedBy(path.join(ROOT, module)).filter((file) =>
      later.some((start) => file.startsWith(start)),
    );
    if (early.length > 0)
      problems.push(`${module} loads ${early.join(', ')} at once: import it where it is first used`);
  }
}

function filesLoadedBy(module) {
  return JSON.parse(execFileSync(process.execPath, [path.join(ROOT, 'test/package/loaded.mjs'), module]));
}

/** `@scope/name` of `@scope/name/dist/index.js`. */
function packageOf(file) {
  return /^(?:@[^/]+\/)?[^/]+/.exec(file)[0];
}
