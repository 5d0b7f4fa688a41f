import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Pipeline } from '../../pipelines/index.js';
import { asModule, type Example, examples } from './dsl-examples.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const read = (page: string): string => readFileSync(path.join(ROOT, page), 'utf8');

/** The Markdown files of a folder, as paths from the root, sorted. */
export const pagesOf = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.posix.join(folder, file))
    .sort();

/** The pages that a user follows step by step. */
export const GUIDES: readonly string[] = ['README.md', ...pagesOf('docs/guides')];

/** Guides whose TypeScript needs more than the page has, and the test that runs it. */
export const RUN_BY: ReadonlyMap<string, string> = new Map([
  ['docs/guides/python-stages.md', 'test/integration/python-stages.test.ts'],
  ['docs/guides/testing.md', 'test/unit/docs/guides.test.ts'],
  ['docs/guides/write-a-connector.md', 'test/unit/docs/guides.test.ts'],
]);

/** All others. */
export const OWN_GUIDES: readonly string[] = GUIDES.filter((page) => !RUN_BY.has(page));

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** The line of the page at which it begins, to find it. */
  readonly line: number;
  readonly text: string;
}

export function blocksOf(page: string, language: string): Block[] {
  const source = read(page);
  return [...source.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)\\n\\1\`\`\`$`, 'gm'))].map((match) => ({
    page,
    line: source.slice(0, match.index).split('\n').length,
    text: (match[2] ?? '').replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
  }));
}

export const isPipeline = (value: unknown): value is Pipeline =>
  typeof value === 'object' && value !== null && 'plan' in value && 'inputSchema' in value;

/** A block of TypeScript as a file. */
export interface WrittenBlock extends Example {
  readonly page: string;
  readonly file: string;
  /** Whether it defines something, or is a program to run. */
  readonly defines: boolean;
}

/** A folder in which blocks find the packages of the repository; hidden, so that nothing else finds the blocks. */
export function folderForBlocks(name: string): string {
  mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
  return mkdtempSync(path.join(ROOT, '.millrace', `${name}-`));
}

/**
 * Writes every block of TypeScript into a folder of its page. A block whose first line is `// name.ts` is that file, so that
 * later blocks of the page can import it.
 * @param text what is written of a block: by default what imports the sources in place of the package
 */
export function writeBlocks(folder: string, pages: readonly string[], text = asModule): WrittenBlock[] {
  return pages.flatMap((page) => {
    const own = path.join(folder, path.basename(page, '.md'));
    mkdirSync(own, { recursive: true });
    return examples(read(page)).map((example, i): WrittenBlock => {
      const [, name = `block-${i + 1}.ts`] = /^\/\/ ([\w.-]+\.ts)\n/.exec(example.source) ?? [];
      const file = path.join(own, name);
      writeFileSync(file, text(example), { flag: 'wx' });
      return { ...example, page, file, defines: /^export /m.test(example.source) };
    });
  });
}
