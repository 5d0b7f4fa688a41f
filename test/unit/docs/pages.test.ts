import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { parseModels } from '../../../activities/pools/index.js';
import { warningsOf } from '../../../pipelines/inspect/index.js';
import {
  blocksOf,
  folderForBlocks,
  GUIDES,
  isPipeline,
  OWN_GUIDES,
  pagesOf,
  ROOT,
  RUN_BY,
  read,
  writeBlocks,
} from '../../support/pages.js';
import { commandsOf } from '../../support/shell.js';

/** A compiler that starts on a busy machine with two cores. */
const COMPILE_MS = 120_000;

/** All pages whose commands users type. */
const PAGES = ['README.md', ...pagesOf('docs').filter((page) => !page.startsWith('docs/decisions/'))];

const at = ({ page, line }: { page: string; line: number }) => `${page}:${line}`;

describe('TypeScript of the README and the guides', () => {
  const folder = folderForBlocks('pages');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const written = writeBlocks(folder, OWN_GUIDES);

  it('is run by another test where the page is not enough', () => {
    for (const [page, test] of RUN_BY) {
      if (GUIDES.includes(page)) expect(read(test), `${test} runs ${page}`).toContain(path.basename(page, '.md'));
    }
  });

  it('compiles', { timeout: COMPILE_MS }, async () => {
    expect(written.length).toBeGreaterThan(8);
    const config = { extends: '../../tsconfig.json', compilerOptions: { declaration: false }, include: ['**/*.ts'] };
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
    const compiler = path.join(ROOT, 'node_modules/typescript/lib/tsc.js');
    const result = await promisify(execFile)(
      process.execPath,
      [compiler, '-p', folder, '--allowImportingTsExtensions'],
      { timeout: COMPILE_MS },
    ).catch((error: { stdout: string }) => error);
    expect(result.stdout).toBe('');
  });

  it.each(written.filter(({ defines }) => defines).map((block) => [`${block.page}: ${block.name}`, block] as const))(
    '%s loads, without warnings',
    async (_, { file, runs }) => {
      const exported = Object.values((await import(pathToFileURL(file).href)) as object);
      expect(exported.length).toBeGreaterThan(0);
      const pipelines = exported.filter(isPipeline);
      if (runs.length > 0) expect(pipelines, 'a block with runs exports the pipeline that they are of').toHaveLength(1);
      expect(pipelines.flatMap(warningsOf)).toEqual([]);
    },
  );

  it('of the first pipeline is a chat model, as the doors that the page lists need', async () => {
    const block = written.find(
      ({ page, source }) => page === 'docs/guides/first-pipeline.md' && source.startsWith('// pipelines.ts\n'),
    );
    const exported = Object.values((await import(pathToFileURL(block?.file ?? '').href)) as object);
    expect(exported.find(isPipeline)?.openai.chat).toMatchObject({ input: 'text', output: 'summary' });
  });
});

it('the guides load pipelines from files that they show', () => {
  const shown = GUIDES.flatMap((page) =>
    blocksOf(page, 'ts').flatMap(({ text }) => /^\/\/ ([\w.-]+\.ts)\b/.exec(text)?.[1] ?? []),
  );
  const loaded = GUIDES.flatMap((page) =>
    [...read(page).matchAll(/MILLRACE_PIPELINES=([\w./-]+)/g)].map(([, file = '']) => [page, file] as const),
  );
  expect(loaded.length).toBeGreaterThan(4);
  for (const [page, file] of loaded) expect(shown, page).toContain(file);
});

it('a script is read as its commands', () => {
  const script = `A=1 one 'two words' "three $(four "5") 6" # seven
    eight \\
      --nine=10 > eleven 2>&1 | twelve; while read -r x; do thirteen "$x"; done < y`;
  expect(commandsOf(script)).toEqual([
    ['four', '5'],
    ['one', 'two words', 'three $(four "5") 6'],
    ['eight', '--nine=10'],
    ['1'],
    ['twelve'],
    ['read', '-r', 'x'],
    ['thirteen', '$x'],
  ]);
});

describe('shell commands of the pages', () => {
  let program: Command;
  beforeAll(async () => {
    // The program parses its arguments when it is loaded.
    const parsing = vi.spyOn(Command.prototype, 'parseAsync').mockImplementation(async function (this: Command) {
      program = this;
      return this;
    });
    await import('../../../cli/main.js');
    parsing.mockRestore();
    silence(program);
  });

  const commands = PAGES.flatMap((page) =>
    blocksOf(page, 'sh').flatMap((block) => commandsOf(block.text).map((words) => [at(block), words] as const)),
  );
  const millrace = commands.flatMap(([where, [first, ...rest]]) => {
    const words = first === 'npx' ? rest : [first, ...rest];
    return words[0] === 'millrace' ? [[where, words.join(' '), words.slice(1) as string[]] as const] : [];
  });

  it('are many', () => expect(millrace.length).toBeGreaterThan(40));

  it.each(millrace)('%s: %s', (_, __, words) => {
    check(program, words);
  });

  it('are checked: an unknown command, option or value, and a missing or extra argument', () => {
    for (const [words, problem] of [
      ['fly', 'unknown command'],
      ['up --fast', 'unknown option'],
      ['runs --limit', 'argument missing'],
      ['runs --limit many', 'is invalid'],
      ['run', 'missing argument'],
      ['graph one two', 'too many arguments'],
      ['keys create', 'required option'],
      ['keys make', 'unknown command'],
    ] as const) {
      expect(() => check(program, words.split(' ')), words).toThrow(problem);
    }
  });

  const spans = PAGES.flatMap((page) =>
    [
      ...read(page)
        .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
        .matchAll(/`(?:npx )?(millrace [a-z][^`]*)`/g),
    ].map(([, command = '']) => [page, command.replaceAll(/\s+/g, ' ')] as const),
  );

  it.each([...new Map(spans.map((span) => [span.join(), span])).values()])('in the text of %s: %s', (_, command) => {
    // What a reader puts in, and what may be left out.
    const whole = command.replaceAll(/<[^>]*>|…/g, 'x').replaceAll(/[[\]]/g, '');
    const [, ...words] = commandsOf(whole)[0] ?? [];
    check(program, [...words, '…']);
  });

  it('name only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = commands.flatMap(([where, [first, verb, name]]) => {
      if (first !== 'npm') return [];
      return verb === 'run' ? [[where, name]] : verb === 'test' ? [[where, 'test']] : [];
    });
    expect(named.length).toBeGreaterThan(5);
    for (const [where, name = ''] of named) expect(Object.keys(scripts), where).toContain(name);
  });

  it('install a packed file from inside the project, where `npm ci` finds it in an image too', () => {
    const installed = commands.flatMap(([where, [first, verb, ...files]]) =>
      first === 'npm' && verb === 'install'
        ? files.filter((file) => file.endsWith('.tgz')).map((file) => [where, file] as const)
        : [],
    );
    expect(installed.length).toBeGreaterThan(2);
    for (const [where, file] of installed) expect(file, where).toMatch(/^\.\/vendor\//);
  });

  it('read the placements and schedules that the commands before them have written', () => {
    const readers = PAGES.flatMap((page) =>
      blocksOf(page, 'sh').flatMap((block) => {
        const lines = block.text.replaceAll(/\\\n\s*/g, ' ').split('\n');
        return lines.flatMap((line, i) => {
          const [, file] = /\bmillrace (?:apply|place explain) (\S+\.json)\b/.exec(line) ?? [];
          const places = lines.slice(0, i).filter((each) => /\bmillrace place (?!explain)/.test(each));
          return file !== undefined && places.length > 0 ? [[at(block), file, places] as const] : [];
        });
      }),
    );
    expect(readers.length).toBeGreaterThan(4);
    for (const [where, file, places] of readers) {
      expect(
        places.some((line) => line.endsWith(` --json > ${file}`)),
        `${where}: ${file}`,
      ).toBe(true);
    }
  });

  it('call only routes that the gateway has', () => {
    const reference = read('docs/reference/http.md') + pagesOf('docs/reference').map(read).join('\n');
    const urls = commands.flatMap(([where, words]) =>
      words[0] === 'curl'
        ? words.flatMap((word) => {
            const [, path] = /^(?:http:\/\/127\.0\.0\.1:7400|\$GATEWAY)(\/[^?#]*)/.exec(word) ?? [];
            return path === undefined ? [] : [[where, path] as const];
          })
        : [],
    );
    expect(urls.length).toBeGreaterThan(10);
    const routes = [...reference.matchAll(/`(?:[A-Z, `]+ )?(\/[\w./{}*-]+)`/g)].map(([, route = '']) => route);
    for (const [where, url] of urls)
      expect(
        routes.some((route) => matches(route, url)),
        `${where}: ${url}`,
      ).toBe(true);
  });
});

describe('data of the pages', () => {
  const json = GUIDES.flatMap((page) => blocksOf(page, 'json'));

  it.each(json.map((block) => [at(block), block.text] as const))('%s is JSON; models are pools', (where, text) => {
    const value = JSON.parse(text) as Record<string, { connector?: unknown }>;
    if (Object.values(value).some((each) => each?.connector !== undefined)) parseModels(value, where);
  });

  it('alerts name metrics of the reference, with labels that these have', () => {
    const metrics = read('docs/reference/metrics.md');
    const rows = [...metrics.matchAll(/^\| `(millrace_\w+)(?:\{([^}]*)\})?`/gm)];
    const labels = new Map(rows.map(([, name = '', names = '']) => [name, names.split(', ').filter(Boolean)]));
    const rules = GUIDES.flatMap((page) => blocksOf(page, 'yaml')).flatMap(({ text }) => {
      const { groups } = parse(text) as { groups?: { rules: { expr: string }[] }[] };
      return groups?.flatMap((group) => group.rules) ?? [];
    });
    expect(rules.length).toBeGreaterThan(5);
    for (const { expr } of rules) {
      // Prometheus' own, of each process.
      if (/^up\b/.test(expr)) continue;
      const used = [...expr.matchAll(/(millrace_[a-z_]+?)(?:_bucket|_count|_sum)?(?![a-z_])(?:\{([^}]*)\})?/g)];
      expect(used.length, expr).toBeGreaterThan(0);
      for (const [, name = '', selector = ''] of used) {
        expect([...labels.keys()], expr).toContain(name);
        const selected = [...selector.matchAll(/(\w+)\s*(?:=|!=|=~|!~)/g)].map(([, label]) => label);
        for (const label of selected) expect(labels.get(name), expr).toContain(label);
        const row = metrics.split('\n').find((line) => line.startsWith(`| \`${name}{`));
        const values = [...selector.matchAll(/"([^"]*)"/g)].flatMap(([, value = '']) => value.split('|'));
        for (const value of values) expect(row, expr).toContain(`\`${value}\``);
      }
      const known = new Set(['le', ...used.flatMap(([, name = '']) => labels.get(name) ?? [])]);
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/, */));
      for (const label of grouped) expect(known, expr).toContain(label);
    }
  });
});

/** A route with parameters matches any value of them; `*` the rest. */
const matches = (route: string, url: string): boolean =>
  new RegExp(
    `^${route
      .replaceAll(/[.]/g, '\\.')
      .replaceAll(/\{[^}]*\}/g, '[^/]+')
      .replaceAll('*', '.*')}$`,
  ).test(url);

/** Errors of commander are thrown, not printed. */
function silence(command: Command): void {
  command.configureOutput({ writeErr: () => undefined });
  for (const each of command.commands) silence(each);
}

/** Throws unless commander would accept the words. Placeholders (`…`) stand for any argument. */
function check(program: Command, words: readonly string[]): void {
  let command = program;
  let rest = words;
  while (command.commands.length > 0) {
    const next = command.commands.find((each) => each.name() === rest[0]);
    if (!next) break;
    [command, rest] = [next, rest.slice(1)];
  }
  // A command with options of its own does something without a subcommand too.
  if (command.commands.length > 0 && (command === program || command.options.length === 0)) {
    if (rest.every((word) => ['--help', '--version'].includes(word))) return;
    throw new Error(`unknown command '${rest[0]}'`);
  }
  const abbreviated = rest.includes('…');
  const { operands, unknown } = command.parseOptions(rest.filter((word) => word !== '…'));
  if (unknown.length > 0) throw new Error(`unknown option '${unknown[0]}'`);
  const { registeredArguments } = command;
  if (operands.length > registeredArguments.length && !registeredArguments.at(-1)?.variadic)
    throw new Error('too many arguments');
  if (abbreviated) return;
  const missing = registeredArguments.slice(operands.length).find(({ required }) => required);
  if (missing) throw new Error(`missing argument '${missing.name()}'`);
  const left = command.options.find(({ mandatory, long }) => mandatory && long && !rest.includes(long));
  if (left) throw new Error(`required option '${left.flags}' not specified`);
}
