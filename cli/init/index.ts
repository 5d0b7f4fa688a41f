import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import { shellLine } from '../../placement/apply/index.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';
import { print, show } from '../output.js';
import { terminalLine } from '../terminal-text.js';

/** The project that is copied. */
const PROJECT = path.join(PACKAGE_ROOT, 'deploy/project');

/** Entries of a folder that a new project may share with. */
const HARMLESS = new Set(['.git', '.DS_Store']);

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/**
 * Writes a project: configuration, two pipelines, a test, a models file. Throws `INVALID_INPUT` for a folder that has files, since
 * they might be overwritten, and for one whose name cannot be a package's.
 */
export async function init(folder: string): Promise<void> {
  const target = path.resolve(folder);
  const name = path.basename(target).toLowerCase();
  if (!NAME.test(name))
    throw refused(`"${name}" cannot be the name of a package; use letters, digits, ".", "_" and "-"`);
  const there = (await readdir(target).catch(() => [])).filter((each) => !HARMLESS.has(each));
  if (there.length > 0) throw refused(`${target} is not empty: it has ${there.slice(0, 3).join(', ')}`);
  await mkdir(target, { recursive: true });
  await cp(PROJECT, target, { recursive: true });
  // npm leaves a file named .gitignore out of packages.
  await rename(path.join(target, 'gitignore'), path.join(target, '.gitignore'));
  const readme = path.join(target, 'README.md');
  await writeFile(readme, (await readFile(readme, 'utf8')).replace('# NAME', `# ${name}`));
  await writeFile(path.join(target, 'package.json'), `${JSON.stringify(await manifestOf(name), null, 2)}\n`);
  const cd = path.relative(process.cwd(), target);
  const pack = ['npm', 'pack', '--pack-destination', 'vendor', path.relative(target, PACKAGE_ROOT)];
  show(`A project is in ${target}. Next:`);
  for (const line of [
    ...(cd === '' ? [] : [shellLine(['cd', cd])]),
    'mkdir -p vendor',
    shellLine(pack),
    'npm install',
    'npm test',
    'npx millrace up',
    `npx millrace run ask --input '{"question": "What is the capital of France?"}'`,
  ]) {
    // Not wrapped, and without comments, which not every shell takes: each line is a command to copy.
    print(`  ${terminalLine(line)}`);
  }
  show('Commit vendor/ with the project: npm install takes Millrace from it.');
}

const refused = (message: string) =>
  new MillraceError('INVALID_INPUT', `init: ${message}`, { fields: [{ field: 'folder', message }] });

/**
 * The project's manifest, with the releases that this Millrace was made with. Millrace itself is on no registry, where its name may become
 * that of another package: it is installed from the file that `npm pack` writes.
 */
async function manifestOf(name: string): Promise<object> {
  const { version, devDependencies: tried } = JSON.parse(
    await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8'),
  ) as { readonly version: string; readonly devDependencies: Readonly<Record<string, string>> };
  return {
    name,
    private: true,
    type: 'module',
    scripts: { test: 'vitest run', check: 'tsc' },
    dependencies: { millrace: `file:vendor/millrace-${version}.tgz`, zod: `^${tried.zod}` },
    devDependencies: { typescript: `^${tried.typescript}`, vitest: `^${tried.vitest}` },
  };
}
