// Makes a fresh clone runnable, then runs one of the project's commands. Plain JavaScript without dependencies: it runs
// before any package is installed.
//   node deploy/local/bootstrap.mjs demo [options]   what `npm run demo` calls
//   node deploy/local/bootstrap.mjs test [options]   what `npm test` and `npm run test:slow` call
//   node deploy/local/bootstrap.mjs run <script.js> [options]   a script of the build, for benches
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const NODE_WANTED = [20, 19];
const SOURCES = [
  'activities',
  'bench',
  'cli',
  'client',
  'deploy/local/stack',
  'gateway',
  'measure',
  'media',
  'pipelines',
  'placement',
  'protocols',
  'runs',
  'runtime',
  'stores',
  'telemetry',
  'temporal',
  'testing',
  'workers',
  'workflows',
  'tsconfig.json',
  'tsconfig.build.json',
];

function main([command, ...args]) {
  checkNode();
  const lock = hashOf(['package-lock.json']);
  step('npm packages', 'node_modules/.millrace', lock, () => npm('ci', '--include=dev', '--no-audit', '--no-fund'));
  step('build', 'dist/.millrace', hashOf([...SOURCES, 'package-lock.json']), () => npm('run', '--silent', 'build'));
  if (command === 'demo') return run('dist/cli/main.js', 'demo', ...args);
  if (command === 'run') return run(...args);
  if (command === 'test') return run('node_modules/vitest/vitest.mjs', 'run', ...chosen(args), ...args);
  return fail(`unknown command "${command}"`);
}

/** Without a choice of files, projects or a configuration: all but the slow tests. */
function chosen(args) {
  if (args.some((arg) => /^--(project|config)\b|^test\//.test(arg))) return [];
  return ['--project', 'unit', '--project', 'replay', '--project', 'integration'];
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_WANTED[0] || (major === NODE_WANTED[0] && minor >= NODE_WANTED[1])) return;
  fail(`Millrace needs Node ${NODE_WANTED.join('.')} or later; this is ${process.versions.node}`);
}

/** Does the work unless the marker says that it was done for the same inputs. The marker is written last. */
function step(what, marker, wanted, work) {
  const file = path.join(ROOT, marker);
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return;
  const started = Date.now();
  process.stderr.write(`· ${what} …\n`);
  work();
  writeFileSync(file, wanted);
  process.stderr.write(`· ${what} ready in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

function npm(...args) {
  // stdout belongs to the command that follows, so npm's goes to stderr.
  const { status } = spawnSync('npm', args, {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) fail(`npm ${args.join(' ')} failed (status ${status})`);
}

/** Hands over to a script: its input and output are this process's, and so are the signals and the exit status. */
function run(script, ...args) {
  const child = spawn(process.execPath, [path.join(ROOT, script), ...args], { cwd: ROOT, stdio: 'inherit' });
  // Ctrl-C reaches the child by itself (one process group); a signal to this process alone is passed on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (status) => {
    process.exitCode = status ?? 1;
  });
}

function hashOf(names) {
  const hash = createHash('sha256').update(process.versions.node);
  const add = (file) => {
    if (statSync(file).isDirectory()) for (const name of readdirSync(file).sort()) add(path.join(file, name));
    else hash.update(path.relative(ROOT, file)).update('\0').update(readFileSync(file)).update('\0');
  };
  for (const name of names) if (existsSync(path.join(ROOT, name))) add(path.join(ROOT, name));
  return hash.digest('hex');
}

function fail(message) {
  process.stderr.write(`millrace: ${message}\n`);
  process.exit(1);
}

main(process.argv.slice(2));
